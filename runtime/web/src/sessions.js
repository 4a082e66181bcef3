/** The graphs of a bundle at work: sessions are opened at first use, and what graphs give is checked. */
import { BundleError, DeviceError, messageOf } from "./errors.js";
import { inTurn } from "./runtime.js";

/** @typedef {import("./runtime.js").Ort} Ort */
/** @typedef {{data: Float32Array | Uint8Array | BigInt64Array, dims: readonly number[]}} Feed */
/** @typedef {{data: Float32Array | Uint8Array, dims: readonly number[]}} Output */
/** @typedef {{type: "float32" | "uint8", dims: readonly number[]} | null} Expected null for floats of any shape */

/** Graphs that may leave the CPU. All others decide tables or means, which must be those of every other machine. */
const MOVABLE = new Set(["encoder.onnx", "decoder.onnx"]);

export class Sessions {
  /**
   * @param {import("./bundle.js").Bundle} bundle
   * @param {Ort} ort
   * @param {"wasm" | "webgpu"} device of encoder and decoder; the prior always runs on the CPU
   */
  constructor(bundle, ort, device) {
    this.#bundle = bundle;
    this.#ort = ort;
    this.device = device;
  }

  #bundle;
  #ort;
  /** @type {Map<string, Promise<import("onnxruntime-web").InferenceSession>>} */
  #opened = new Map();

  /**
   * Open the session of a graph, if it is not open.
   *
   * @param {string} name
   */
  open(name) {
    const found = this.#opened.get(name);
    if (found) return found;
    const session = this.#create(name);
    this.#opened.set(name, session);
    session.catch(() => this.#opened.delete(name));
    return session;
  }

  /**
   * Run a graph.
   *
   * @template {string} Name
   * @param {string} name
   * @param {Record<string, Feed>} feeds
   * @param {Record<Name, Expected>} expected
   * @returns {Promise<Record<Name, Output>>}
   * @throws {BundleError} the graph does not run on these inputs, or gives something else than expected.
   */
  async run(name, feeds, expected) {
    const session = await this.open(name);
    const tensors = Object.fromEntries(Object.entries(feeds).map(([key, feed]) => [key, this.#tensor(feed)]));
    const found = await inTurn(async () => {
      try {
        return await session.run(tensors);
      } catch (error) {
        throw new BundleError(`${name} does not run (${firstLine(error)}); export the bundle again`);
      }
    });
    for (const [key, wanted] of Object.entries(expected))
      check(`${name}: ${key}`, found[key], /** @type {Expected} */ (wanted));
    return /** @type {Record<Name, Output>} */ (/** @type {unknown} */ (found));
  }

  /** Free the memory of all sessions. */
  async release() {
    const sessions = [...this.#opened.values()];
    this.#opened.clear();
    for (const session of sessions) await (await session).release();
  }

  /** @param {string} name */
  async #create(name) {
    const bytes = await this.#bundle.graph(name);
    const provider = MOVABLE.has(name) ? this.device : "wasm";
    return inTurn(async () => {
      try {
        return await this.#ort.InferenceSession.create(bytes, { executionProviders: [provider], logSeverityLevel: 3 });
      } catch (error) {
        const Refusal = provider === "wasm" ? BundleError : DeviceError;
        throw new Refusal(`${name} cannot be opened on ${provider} (${firstLine(error)})`);
      }
    });
  }

  /** @param {Feed} feed */
  #tensor({ data, dims }) {
    if (data instanceof BigInt64Array) return new this.#ort.Tensor("int64", data, dims);
    return data instanceof Uint8Array
      ? new this.#ort.Tensor("uint8", data, dims)
      : new this.#ort.Tensor("float32", data, dims);
  }
}

/**
 * @param {string} where
 * @param {import("onnxruntime-web").Tensor | undefined} tensor
 * @param {Expected} expected
 */
function check(where, tensor, expected) {
  if (!tensor) throw new BundleError(`${where} is missing; export the bundle again`);
  const [type, dims] = [expected?.type ?? "float32", expected?.dims ?? tensor.dims];
  if (tensor.type !== type || tensor.dims.join() !== dims.join()) {
    throw new BundleError(
      `${where} is ${tensor.type} [${tensor.dims}], expected ${type} [${dims}]; export the bundle again`,
    );
  }
  // A NaN would become some symbol, and which one is the machine's choice.
  if (type === "float32" && !(/** @type {Float32Array} */ (tensor.data).every(Number.isFinite))) {
    throw new BundleError(`${where} holds NaN or infinity; export the bundle again`);
  }
}

/** @param {unknown} error */
function firstLine(error) {
  return messageOf(error).split("\n", 1)[0].slice(0, 200);
}
