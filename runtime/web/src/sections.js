/** What the sections hold (FORMAT.md, Stream): alpha planes and names. Unpacking is bounded. */
import { concat } from "./bytes.js";
import { ArgumentError, StreamError, messageOf } from "./errors.js";
import { inflate } from "./inflate.js";
import { MAX_NAME_BYTES, MAX_SECTION_BYTES } from "./limits.js";

/**
 * Alpha planes [count, height, width].
 *
 * @param {Uint8Array} data
 * @param {number} count
 * @param {number} height
 * @param {number} width
 */
export function unpackAlpha(data, count, height, width) {
  const size = count * height * width;
  const planes = unpack(data, size, "alpha");
  if (planes.length !== size) {
    throw new StreamError(
      `alpha section: ${planes.length} samples, expected ${size}; the stream is damaged, get it again`,
    );
  }
  const plane = height * width;
  for (let first = 0; first < size; first += plane) {
    for (let i = first + width; i < first + plane; i++) planes[i] += planes[i - width];
  }
  return planes;
}

/**
 * @param {Uint8Array} planes [count, height, width]
 * @param {number} height
 * @param {number} width
 */
export function packAlpha(planes, height, width) {
  const rows = planes.slice();
  const plane = height * width;
  for (let first = 0; first < rows.length; first += plane) {
    for (let i = first + plane - 1; i >= first + width; i--) rows[i] -= rows[i - width];
  }
  return deflate(rows);
}

/**
 * Names of the images of a stream, in order.
 *
 * @param {Uint8Array} data
 * @param {number} count
 */
export function unpackNames(data, count) {
  const plain = unpack(data, MAX_SECTION_BYTES, "names");
  let found = 0; // counted before they are split, as strings take far more memory than their bytes
  for (const byte of plain) if (!byte) found++;
  if (found !== count || plain[plain.length - 1] !== 0) {
    throw new StreamError(`names section: ${found} names, expected ${count}; the stream is damaged, get it again`);
  }
  const names = [];
  for (let start = 0, end = 0; start < plain.length; start = end + 1) {
    end = plain.indexOf(0, start);
    names.push(decodeName(plain.subarray(start, end)));
  }
  const fault = nameFault(names);
  if (fault) throw new StreamError(`names section: ${fault}; the stream is damaged or forged`);
  return names;
}

/** @param {readonly string[]} names */
export function packNames(names) {
  const fault = nameFault(names);
  if (fault) throw new ArgumentError(`names: ${fault}`);
  const plain = concat(names.map((name) => Uint8Array.of(...encodeName(name), 0)));
  if (plain.length > MAX_SECTION_BYTES) {
    throw new ArgumentError(
      `names: ${plain.length} bytes, the limit is ${MAX_SECTION_BYTES}; put fewer images in a stream`,
    );
  }
  return deflate(plain);
}

/**
 * A name's text. A byte that is not UTF-8 becomes U+DC00 + byte, as in Python, so that no name is lost or doubled.
 *
 * @param {Uint8Array} bytes
 */
function decodeName(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return decodeInParts(bytes);
  }
}

/**
 * @param {Uint8Array} bytes
 * @returns {string}
 */
function decodeInParts(bytes) {
  const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let text = "";
  for (let i = 0, length; i < bytes.length; i += length) {
    length = bytes[i] < 0xc0 ? 1 : bytes[i] < 0xe0 ? 2 : bytes[i] < 0xf0 ? 3 : 4;
    try {
      text += utf8.decode(bytes.subarray(i, i + length));
    } catch {
      text += String.fromCharCode(0xdc00 + bytes[i]);
      length = 1;
    }
  }
  return text;
}

/**
 * @param {string} name
 * @returns {number[]}
 */
function encodeName(name) {
  const bytes = [];
  for (const character of name) {
    const code = character.codePointAt(0) ?? 0;
    if (code >= 0xdc80 && code <= 0xdcff) bytes.push(code - 0xdc00);
    else bytes.push(...new TextEncoder().encode(character));
  }
  return bytes;
}

/** A component that is empty, ends in a dot or a space, or is a device of Windows: see "Names" in FORMAT.md. */
const UNSAFE_PART = /^$|[. ]$|^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3]) *(?:\.|$)/i;

/**
 * What is wrong with names, or "".
 *
 * @param {readonly string[]} names
 */
function nameFault(names) {
  if (new Set(names).size !== names.length) return "a name occurs twice";
  for (const name of names) {
    const parts = name.split("/");
    if (isTooLong(name) || /[\0\\:]/.test(name) || parts.some((part) => UNSAFE_PART.test(part))) {
      return `${JSON.stringify(name.slice(0, 64))} is not a relative path of at most ${MAX_NAME_BYTES} bytes that is safe on every system`;
    }
  }
  return "";
}

/** @param {string} name */
function isTooLong(name) {
  if (3 * name.length <= MAX_NAME_BYTES) return false;
  return name.length > MAX_NAME_BYTES || encodeName(name).length > MAX_NAME_BYTES;
}

/**
 * @param {Uint8Array} data
 * @param {number} most bytes that may come out
 * @param {string} what
 */
function unpack(data, most, what) {
  try {
    return inflate(data, most);
  } catch (error) {
    throw new StreamError(`${what} section: ${messageOf(error)}; the stream is damaged or forged`);
  }
}

/** @param {Uint8Array} data */
async function deflate(data) {
  const packed = new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (data)])
    .stream()
    .pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}
