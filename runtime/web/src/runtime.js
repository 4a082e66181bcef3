/** ONNX Runtime: loading it, and running its sessions one at a time. */
import { ArgumentError, BackendError, messageOf } from "./errors.js";

/** @typedef {typeof import("onnxruntime-web")} Ort */
/** @typedef {"wasm" | "webgpu" | "auto"} Device */

const MOST_THREADS = 4;

/**
 * @param {Ort | string | undefined} ort the module, the URL of one, or nothing for onnxruntime-web
 * @param {boolean} gpu whether it must know WebGPU
 * @param {number | undefined} threads
 * @returns {Promise<Ort>}
 * @throws {BackendError} it does not load.
 */
export async function loadRuntime(ort, gpu, threads) {
  const found = typeof ort === "object" ? ort : await importRuntime(ort, gpu);
  if (threads !== undefined && !(Number.isInteger(threads) && threads > 0)) {
    throw new ArgumentError(`threads: found ${threads}, expected an integer of at least 1`);
  }
  // One setting of the whole page, which counts until the first session is opened.
  found.env.wasm.numThreads = threads ?? defaultThreads();
  return found;
}

/** @param {string | undefined} url @param {boolean} gpu @returns {Promise<Ort>} */
async function importRuntime(url, gpu) {
  try {
    if (url)
      return await import(/* @vite-ignore */ /* webpackIgnore: true */ new URL(url, globalThis.location?.href).href);
    return await (gpu ? import("onnxruntime-web/webgpu") : import("onnxruntime-web/wasm"));
  } catch (error) {
    throw new BackendError(
      `onnxruntime-web does not load (${messageOf(error)}); install it, or, on a page without a bundler, pass its URL as ort`,
    );
  }
}

/** Threads need memory that they share, which browsers give to cross-origin isolated pages only. */
function defaultThreads() {
  if (!globalThis.crossOriginIsolated) return 1;
  return Math.min(globalThis.navigator?.hardwareConcurrency ?? 1, MOST_THREADS);
}

/** @type {Promise<unknown>} */
let turn = Promise.resolve();

/**
 * Call after all earlier calls have ended: a session does not take a second run while one goes on.
 *
 * @template Result
 * @param {() => Promise<Result>} call
 * @returns {Promise<Result>}
 */
export function inTurn(call) {
  const result = turn.then(call);
  turn = result.catch(() => undefined);
  return result;
}
