/** `entropy.npz`: the tables and quantizer steps of a bundle (FORMAT.md, entropy.npz). */
import { Bank } from "./bank.js";
import { BundleError } from "./errors.js";
import { QUALITIES, SCALES } from "./limits.js";
import { readNpy } from "./npy.js";
import { readStoredZip } from "./zip.js";

/** The least normal float32: division by less may overflow. */
const LEAST_STEP = 2 ** -126;

/** @typedef {import("./npy.js").NpyArray} NpyArray */

/**
 * @typedef {object} Tables
 * @property {Bank} bank
 * @property {Float32Array} steps [100, c]
 * @property {Float32Array} offsets [c]
 * @property {Float32Array} shrink [100, c]
 * @property {Float32Array} deadZone [tables]
 * @property {Uint8Array} [tableIndex] [100, c], factorized
 * @property {Uint8Array} [hyperTableIndex] [100, cz], hyperprior
 * @property {Uint8Array} [scaleTables] [64], hyperprior
 */

/**
 * @param {Uint8Array} data
 * @returns {Map<string, NpyArray>} arrays by name
 */
export function readArrays(data) {
  const arrays = new Map();
  for (const [name, bytes] of readStoredZip(data)) {
    if (!name.endsWith(".npy")) throw new BundleError(`entropy.npz holds ${name}, expected .npy arrays`);
    arrays.set(name.slice(0, -4), readNpy(bytes));
  }
  return arrays;
}

/**
 * @param {ReadonlyMap<string, NpyArray>} arrays
 * @param {import("./manifest.js").Manifest} manifest
 * @returns {Tables}
 * @throws {BundleError} an array is missing, unknown, of another type or shape, or has a value out of range.
 */
export function tablesOf(arrays, { latent, prior }) {
  const taker = new Taker(arrays);
  const hyper = prior.kind === "hyperprior";
  const [count = 0, columns = 0] = arrays.get("bank_frequencies")?.shape ?? [];
  const bank = new Bank(
    taker.take("bank_frequencies", Uint16Array, [count, columns]),
    columns,
    taker.take("bank_sizes", Uint16Array, [count]),
    taker.take("bank_minimum", Int16Array, [count]),
    taker.take("bank_kind", Uint8Array, [count]),
  );
  const perChannel = [QUALITIES, latent.channels];
  const tables = {
    bank,
    steps: taker.take("steps", Float32Array, perChannel, "at least 1.18e-38", (x) => x >= LEAST_STEP),
    offsets: taker.take("offsets", Float32Array, [latent.channels], hyper ? "0" : "finite", (x) => !hyper || x === 0),
    shrink: taker.take("shrink", Float32Array, perChannel, "in 0..0.5", (x) => x >= 0 && x < 0.5),
    deadZone: arrays.has("dead_zone")
      ? taker.take("dead_zone", Float32Array, [count], "in 0.5..1", (x) => x >= 0.5 && x < 1)
      : new Float32Array(count).fill(0.5),
  };
  /** @param {string} name @param {readonly number[]} shape */
  const index = (name, shape) => taker.take(name, Uint8Array, shape, `below ${count}`, (table) => table < count);
  const indices = hyper
    ? {
        hyperTableIndex: index("hyper_table_index", [QUALITIES, prior.channels]),
        scaleTables: index("scale_tables", [SCALES]),
      }
    : { tableIndex: index("table_index", perChannel) };
  taker.finish();
  return { ...tables, ...indices };
}

/** Takes arrays by name, type and shape, and knows which are left. */
class Taker {
  /** @param {ReadonlyMap<string, NpyArray>} arrays */
  constructor(arrays) {
    this.arrays = arrays;
    this.left = new Set(arrays.keys());
  }

  /**
   * @template {import("./npy.js").Values} Values
   * @param {string} name
   * @param {new (...args: any[]) => Values} Type
   * @param {readonly number[]} shape
   * @param {string} [rule] what every value is expected to be
   * @param {(value: number) => boolean} [holds]
   * @returns {Values}
   */
  take(name, Type, shape, rule = "finite", holds = () => true) {
    const array = this.arrays.get(name);
    if (!array) throw new BundleError(`entropy.npz lacks ${name}; export the bundle again`);
    const { values } = array;
    if (!(values instanceof Type) || array.shape.join() !== shape.join()) {
      throw new BundleError(
        `entropy.npz: ${name} is ${array.dtype} [${array.shape}], expected ${Type.name} [${shape}]; export again`,
      );
    }
    for (const value of values) {
      if (!Number.isFinite(value) || !holds(value))
        throw new BundleError(`entropy.npz: ${name} holds ${value}, expected ${rule}; export again`);
    }
    this.left.delete(name);
    return values;
  }

  finish() {
    if (this.left.size)
      throw new BundleError(`entropy.npz has unknown ${[...this.left].join(", ")}; export the bundle again`);
  }
}
