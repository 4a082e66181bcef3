/** Loading a codec: a bundle, a runtime and a device. */
import { Bundle } from "./bundle.js";
import { Codec } from "./codec.js";
import { ArgumentError, DeviceError, messageOf } from "./errors.js";
import { loadRuntime } from "./runtime.js";
import { Sessions } from "./sessions.js";

/**
 * @typedef {object} LoadOptions
 * @property {import("./runtime.js").Ort | string} [ort] ONNX Runtime, or the URL of its module; onnxruntime-web where
 *     missing
 * @property {import("./runtime.js").Device} [device] of encoder and decoder: "wasm", "webgpu", or "auto" for WebGPU if
 *     it decodes a golden picture right
 * @property {number} [threads] threads of WASM, a setting of the whole page; by default 1, or up to 4 where the page is
 *     cross-origin isolated
 */

const DEVICES = ["wasm", "webgpu", "auto"];

/**
 * Load a codec.
 *
 * @param {string | URL | Blob | ArrayBuffer | Uint8Array} bundle an .aeb file (its bytes, a File, its URL), the URL of a
 *     folder, or, in Node, a path
 * @param {LoadOptions} [options]
 * @returns {Promise<Codec>}
 * @throws {import("./errors.js").ModelNotFoundError} no bundle there.
 * @throws {import("./errors.js").BundleError} a file of it is damaged or forged.
 * @throws {DeviceError} the device cannot be used, or computes something else than the CPU.
 */
export async function load(bundle, { ort, device = "wasm", threads } = {}) {
  if (!DEVICES.includes(device)) throw new ArgumentError(`device is ${device}, expected one of ${DEVICES.join(", ")}`);
  const gpu = device !== "wasm" && (await hasGpu());
  if (device === "webgpu" && !gpu) throw new DeviceError('no WebGPU adapter here; use "wasm" or "auto"');
  const [loaded, runtime] = await Promise.all([Bundle.load(bundle), loadRuntime(ort, gpu, threads)]);
  const codec = new Codec(loaded, new Sessions(loaded, runtime, "wasm"));
  if (!gpu) return codec;
  try {
    return await onGpu(codec, runtime);
  } catch (error) {
    if (device === "auto") return codec;
    throw error instanceof DeviceError ? error : new DeviceError(`WebGPU cannot be used (${messageOf(error)})`);
  }
}

/** Whether there is an adapter: asked before the runtime is loaded, whose build for WebGPU is twice as large. */
async function hasGpu() {
  const { gpu } = /** @type {{gpu?: {requestAdapter: () => Promise<object | null>}}} */ (globalThis.navigator ?? {});
  return Boolean(await gpu?.requestAdapter().catch(() => null));
}

/**
 * The codec on WebGPU, after it decoded a golden stream to what the CPU makes of it.
 *
 * @param {Codec} codec on the CPU
 * @param {import("./runtime.js").Ort} ort
 */
async function onGpu(codec, ort) {
  const { bundle } = codec;
  bundle.require("decoder", "WebGPU's check");
  const golden = bundle.goldenStreams();
  if (!golden.length) throw new DeviceError(`${bundle} has no golden stream to check WebGPU with; use "wasm"`);
  const moved = new Codec(bundle, new Sessions(bundle, ort, "webgpu"));
  for (const name of golden) {
    const stream = await bundle.read(name);
    const [right, found] = [await codec.decompressBatch(stream), await moved.decompressBatch(stream)];
    const difference = Math.max(...right.map(({ pixels }, i) => mostDifference(pixels, found[i].pixels)));
    if (difference > 1)
      throw new DeviceError(`WebGPU decodes ${name} with pixels that differ by up to ${difference}; use "wasm"`);
  }
  await codec.release();
  return moved;
}

/** @param {Uint8Array} a @param {Uint8Array} b */
function mostDifference(a, b) {
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i] - b[i]));
  return most;
}
