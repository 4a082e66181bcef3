/** The codec in a worker, seen from the page: the same methods, and the page stays free. */
import { errorOfName } from "./errors.js";
import { Picture } from "./picture.js";

/** @typedef {import("./codec.js").Options} Options */
/** @typedef {import("./picture.js").Source} Source */
/**
 * @typedef {{resolve: (result: any) => void, reject: (error: Error) => void, onProgress?: (fraction: number) => void}} Waiting
 */

/**
 * Load a codec in a worker of its own.
 *
 * @param {string | URL | Blob | ArrayBuffer | Uint8Array} bundle as for `load`
 * @param {import("./load.js").LoadOptions & {ort?: string}} [options] as for `load`; ONNX Runtime only by its URL, which
 *     a page without a bundler must give, as import maps do not reach workers
 * @returns {Promise<RemoteCodec>}
 */
export async function loadInWorker(bundle, { ort, ...options } = {}) {
  const codec = new RemoteCodec(new Worker(new URL("./worker.js", import.meta.url), { type: "module" }));
  const absolute = (/** @type {string | URL} */ url) => new URL(url, location.href).href;
  const place = typeof bundle === "string" || bundle instanceof URL ? absolute(bundle) : bundle;
  try {
    await codec.call("load", [place, { ...options, ort: ort && absolute(ort) }], {});
  } catch (error) {
    codec.close();
    throw error;
  }
  return codec;
}

/** A codec in a worker. Methods, options and errors are those of Codec. */
export class RemoteCodec {
  #worker;
  #next = 0;
  /** @type {Error | null} Why there will be no answer any more. */
  #failure = null;
  /** @type {Map<number, Waiting>} */
  #waiting = new Map();

  /** @param {Worker} worker that runs worker.js */
  constructor(worker) {
    this.#worker = worker;
    worker.addEventListener("message", ({ data }) => this.#onMessage(data));
    worker.addEventListener("error", ({ message }) => this.#fail(new Error(`the worker failed: ${message}`)));
  }

  /** @param {Uint8Array} data @param {Options} [options] @returns {Promise<Picture>} */
  async decompress(data, options = {}) {
    return new Picture(await this.call("decompress", [data], options));
  }

  /** @param {Uint8Array} data @param {Options} [options] @returns {Promise<Picture[]>} */
  async decompressBatch(data, options = {}) {
    const found = await this.call("decompressBatch", [data], options);
    return found.map((/** @type {Picture} */ picture) => new Picture(picture));
  }

  /** @param {Uint8Array} data @param {Options} [options] @returns {Promise<Int16Array>} */
  decompressSymbols(data, options = {}) {
    return this.call("decompressSymbols", [data], options);
  }

  /** @param {Source} image @param {number} [quality] @param {Options} [options] @returns {Promise<Uint8Array>} */
  compress(image, quality, options = {}) {
    return this.call("compress", [plain(image), quality], options);
  }

  /**
   * @param {readonly Source[]} images
   * @param {number} [quality]
   * @param {Options & {names?: readonly string[]}} [options]
   * @returns {Promise<Uint8Array>}
   */
  compressBatch(images, quality, options = {}) {
    return this.call("compressBatch", [images.map(plain), quality], options);
  }

  /** @returns {Promise<void>} */
  warmUp() {
    return this.call("warmUp", [], {});
  }

  /** @returns {Promise<void>} */
  release() {
    return this.call("release", [], {});
  }

  /** End the worker. Calls that have not returned reject with an AbortError. */
  close() {
    this.#worker.terminate();
    this.#fail(new DOMException("the codec was closed", "AbortError"));
  }

  /**
   * @param {string} method
   * @param {unknown[]} values
   * @param {Options} options
   * @returns {Promise<any>}
   */
  async call(method, values, { signal, onProgress, ...options }) {
    signal?.throwIfAborted();
    if (this.#failure) throw this.#failure;
    const id = this.#next++;
    const onAbort = () => {
      this.#worker.postMessage({ id, abort: true });
      this.#waiting.get(id)?.reject(signal?.reason);
    };
    signal?.addEventListener("abort", onAbort);
    try {
      return await new Promise((resolve, reject) => {
        this.#waiting.set(id, { resolve, reject, onProgress });
        this.#worker.postMessage({ id, method, arguments: method === "load" ? values : [...values, options] });
      });
    } finally {
      signal?.removeEventListener("abort", onAbort);
      this.#waiting.delete(id);
    }
  }

  /** @param {{id: number, progress?: number, result?: any, error?: {name: string, message: string}}} message */
  #onMessage({ id, progress, result, error }) {
    const waiting = this.#waiting.get(id);
    if (progress !== undefined) waiting?.onProgress?.(progress);
    else if (error) waiting?.reject(errorOfName(error.name, error.message));
    else waiting?.resolve(result);
  }

  /** @param {Error} error */
  #fail(error) {
    this.#failure = error;
    for (const { reject } of this.#waiting.values()) reject(error);
  }
}

/**
 * What structured cloning keeps of an image; an ImageData would arrive as it is, a Picture without its methods.
 *
 * @param {Source} image
 */
function plain(image) {
  return "pixels" in image ? { ...image } : { data: image.data, width: image.width, height: image.height };
}
