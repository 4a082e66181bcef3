/**
 * What is in an ONNX graph before the runtime sees it: all tensors inside the file, all floats finite.
 *
 * One NaN among the weights loads and runs, and every picture it touches is silently wrong. (Field numbers: onnx.proto;
 * wire format: the Protocol Buffers encoding.)
 */
import { wordsOf } from "./bytes.js";
import { BundleError } from "./errors.js";

/** @typedef {"model" | "graph" | "function" | "node" | "attribute" | "sparse"} Message */
/**
 * @typedef {{number: number, wire: number, value: number, bytes: Uint8Array}} Field bytes of a fixed or long one, else value
 */

/**
 * Messages that can hold tensors: field number -> message.
 *
 * @type {Record<Message, Record<number, Message | "tensor">>}
 */
const PARTS = {
  model: { 7: "graph", 25: "function" },
  graph: { 1: "node", 5: "tensor", 15: "sparse" },
  function: { 7: "node" },
  node: { 5: "attribute" },
  attribute: { 5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse" },
  sparse: { 1: "tensor" },
};
const MAX_DEPTH = 32;

/** Fields of a TensorProto. */
const [TYPE, FLOATS, INTEGERS, RAW, DOUBLES, EXTERNAL, LOCATION] = [2, 4, 5, 9, 10, 13, 14];
const [FLOAT32, FLOAT16, FLOAT64, BFLOAT16] = [1, 10, 11, 16];
/**
 * Bytes of a float, and the exponent of NaN and infinity in its last 16 bits.
 *
 * @type {Record<number, [number, number]>}
 */
const FORMATS = { [FLOAT32]: [4, 0x7f80], [FLOAT16]: [2, 0x7c00], [FLOAT64]: [8, 0x7ff0], [BFLOAT16]: [2, 0x7f80] };
const [VARINT, EIGHT, BYTES, FOUR] = [0, 1, 2, 5];

/**
 * @param {Uint8Array} data an .onnx file
 * @param {string} name
 * @throws {BundleError} not an ONNX graph, a tensor outside the file, or one that holds NaN or infinity.
 */
export function checkWeights(data, name) {
  for (const tensor of tensors(data, "model", name, 0)) checkTensor(tensor, name);
}

/**
 * @param {Uint8Array} data
 * @param {Message} message
 * @param {string} name
 * @param {number} depth
 * @returns {Generator<Uint8Array>}
 */
function* tensors(data, message, name, depth) {
  if (depth > MAX_DEPTH)
    throw new BundleError(`${name}: messages nested more than ${MAX_DEPTH} deep; not a graph that was exported`);
  for (const { number, wire, bytes } of fields(data, name)) {
    const part = wire === BYTES ? PARTS[message][number] : undefined;
    if (part === "tensor") yield bytes;
    else if (part) yield* tensors(bytes, part, name, depth + 1);
  }
}

/** @param {Uint8Array} data @param {string} name */
function checkTensor(data, name) {
  let type = 0;
  const values = [];
  for (const field of fields(data, name)) {
    if (field.number === EXTERNAL || (field.number === LOCATION && field.value)) {
      throw new BundleError(`${name}: a tensor is in another file; a bundle's graphs hold all of theirs`);
    }
    if (field.number === TYPE) type = field.value;
    else if ([FLOATS, INTEGERS, RAW, DOUBLES].includes(field.number)) values.push(field);
  }
  for (const field of values) {
    if (!isFinite(field, type, name))
      throw new BundleError(`${name}: a tensor holds NaN or infinity; train and export again`);
  }
}

/**
 * Whether floats are finite, however they are stored.
 *
 * @param {Field} field
 * @param {number} type
 * @param {string} name
 */
function isFinite({ number, wire, value, bytes }, type, name) {
  if (number === INTEGERS) {
    if (type !== FLOAT16 && type !== BFLOAT16) return true;
    const [, mask] = FORMATS[type];
    const integers = wire === VARINT ? [value] : varints(bytes, name);
    return integers.every((bits) => (bits & mask) !== mask);
  }
  const format = FORMATS[type];
  if (!format) return true;
  const [size, mask] = format;
  if (bytes.length % size)
    throw new BundleError(`${name}: a tensor of ${bytes.length} bytes, expected whole values; the graph is damaged`);
  const words = wordsOf(bytes); // the exponent is in the last two bytes of a value
  for (let i = size / 2 - 1; i < words.length; i += size / 2) if ((words[i] & mask) === mask) return false;
  return true;
}

/** @param {Uint8Array} data @param {string} name */
function varints(data, name) {
  const found = [];
  for (let position = 0; position < data.length;) {
    const [value, next] = varint(data, position, name);
    found.push(value);
    position = next;
  }
  return found;
}

/**
 * @param {Uint8Array} data
 * @param {string} name
 * @returns {Generator<Field>}
 */
function* fields(data, name) {
  const empty = data.subarray(0, 0);
  for (let position = 0; position < data.length;) {
    const [key, start] = varint(data, position, name);
    const [number, wire] = [Math.floor(key / 8), key % 8];
    const [value, next] = wire === VARINT || wire === BYTES ? varint(data, start, name) : [0, start];
    const size = wire === BYTES ? value : { [VARINT]: 0, [EIGHT]: 8, [FOUR]: 4 }[wire];
    if (size === undefined)
      throw new BundleError(`${name} is not an ONNX graph (wire type ${wire}); export the bundle again`);
    if (size > data.length - next)
      throw new BundleError(`${name} is not an ONNX graph (it ends too early); export the bundle again`);
    position = next + size;
    yield { number, wire, value: wire === VARINT ? value : 0, bytes: size ? data.subarray(next, position) : empty };
  }
}

/**
 * A varint, and where it ends. Beyond 2^53 its low bits are lost, which no field that is looked at needs.
 *
 * @param {Uint8Array} data
 * @param {number} position
 * @param {string} name
 * @returns {[number, number]}
 */
function varint(data, position, name) {
  let value = 0;
  for (let place = 0; place < 10 && position < data.length; place++) {
    const byte = data[position++];
    value += (byte & 127) * 2 ** (7 * place);
    if (byte < 128) return [value, position];
  }
  throw new BundleError(`${name} is not an ONNX graph (a number does not end); export the bundle again`);
}
