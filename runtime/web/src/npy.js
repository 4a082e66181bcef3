/** NumPy's `.npy` arrays, as `entropy.npz` holds them: format 1.0, C order, little-endian. */
import { viewOf } from "./bytes.js";
import { BundleError } from "./errors.js";

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0];
const HEADER = /^\{'descr': '([^']*)', 'fortran_order': False, 'shape': \(([0-9, ]*)\), \} *\n$/;

/** @typedef {Uint8Array | Uint16Array | Int16Array | Float32Array} Values */

/**
 * @typedef {object} NpyArray
 * @property {string} dtype NumPy's name, such as "<f4"
 * @property {number[]} shape
 * @property {Values} values
 * @property {Uint8Array} bytes the values as they are stored
 */

/** @type {Record<string, {size: number, read: (view: DataView, count: number) => Values}>} */
const TYPES = {
  "|u1": { size: 1, read: (view, count) => Uint8Array.from({ length: count }, (_, i) => view.getUint8(i)) },
  "<u2": { size: 2, read: (view, count) => Uint16Array.from({ length: count }, (_, i) => view.getUint16(2 * i, true)) },
  "<i2": { size: 2, read: (view, count) => Int16Array.from({ length: count }, (_, i) => view.getInt16(2 * i, true)) },
  "<f4": {
    size: 4,
    read: (view, count) => Float32Array.from({ length: count }, (_, i) => view.getFloat32(4 * i, true)),
  },
};

/**
 * @param {Uint8Array} data
 * @returns {NpyArray}
 * @throws {BundleError} not such a file.
 */
export function readNpy(data) {
  if (data.length < 10 || MAGIC.some((byte, i) => data[i] !== byte))
    throw new BundleError("not an .npy file of format 1.0");
  const end = 10 + data[8] + 256 * data[9];
  const match = HEADER.exec(String.fromCharCode(...data.subarray(10, Math.min(end, 1000))));
  if (!match) throw new BundleError("an .npy file with another header than NumPy writes, or not in C order");
  const type = Object.hasOwn(TYPES, match[1]) ? TYPES[match[1]] : null;
  if (!type)
    throw new BundleError(`an .npy file of type ${match[1]}, expected one of ${Object.keys(TYPES).join(", ")}`);
  const shape = match[2]
    .split(",")
    .filter((part) => part.trim())
    .map(Number);
  const count = shape.reduce((product, length) => product * length, 1);
  const bytes = data.subarray(end);
  if (bytes.length !== count * type.size)
    throw new BundleError(`an .npy file with ${bytes.length} bytes of values, expected ${count * type.size}`);
  return { dtype: match[1], shape, values: type.read(viewOf(bytes), count), bytes };
}
