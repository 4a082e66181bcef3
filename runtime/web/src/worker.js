/** The codec in a worker: takes calls as messages. `loadInWorker` is the other side. */
import { load } from "./load.js";

/**
 * A call: load, or a method of the codec.
 *
 * @typedef {{id: number, method: string, arguments: any[]}} Call
 */
/** @typedef {{id: number, abort: true}} Abort */

const METHODS = [
  "compress",
  "compressBatch",
  "decompress",
  "decompressBatch",
  "decompressSymbols",
  "warmUp",
  "release",
];

/** @type {Promise<import("./codec.js").Codec> | null} */
let codec = null;
/** @type {Map<number, AbortController>} */
const running = new Map();

/** @param {MessageEvent<Call | Abort>} event */
async function onMessage({ data }) {
  if ("abort" in data) {
    running.get(data.id)?.abort();
    return;
  }
  const { id } = data;
  const controller = new AbortController();
  running.set(id, controller);
  try {
    const result = await answer(data, controller.signal);
    globalThis.postMessage({ id, result }, { transfer: buffersOf(result) });
  } catch (error) {
    const { name, message } = error instanceof Error ? error : { name: "Error", message: String(error) };
    globalThis.postMessage({ id, error: { name, message } });
  } finally {
    running.delete(id);
  }
}

/**
 * @param {Call} call the last argument is the options
 * @param {AbortSignal} signal
 */
async function answer({ id, method, arguments: found }, signal) {
  if (method === "load") {
    codec = load(.../** @type {Parameters<typeof load>} */ (found));
    await codec;
    return null;
  }
  if (!codec || !METHODS.includes(method)) throw new Error(`no method ${method}, or no codec`);
  const options = {
    ...found.pop(),
    signal,
    onProgress: (/** @type {number} */ progress) => globalThis.postMessage({ id, progress }),
  };
  const methods = /** @type {Record<string, (...values: any[]) => Promise<unknown>>} */ (
    /** @type {unknown} */ (await codec)
  );
  return methods[method](...found, options);
}

/** Buffers of a result, to hand over rather than to copy. @param {any} result @returns {ArrayBuffer[]} */
function buffersOf(result) {
  const values = Array.isArray(result)
    ? result.flatMap((picture) => Object.values(picture))
    : [result, ...Object.values(result ?? {})];
  return [...new Set(values.filter(ArrayBuffer.isView).map((view) => /** @type {ArrayBuffer} */ (view.buffer)))];
}

globalThis.addEventListener("message", onMessage);
