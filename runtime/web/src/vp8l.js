/**
 * VP8L, the bit stream of lossless WebP (RFC 9649), decoded.
 *
 * Not the browser's decoder: a canvas gives pixels back premultiplied and perhaps converted to another color space, and
 * Node has none.
 */
import { fromHex } from "./checksums.js";
import { Bits, readPrefixCode } from "./vp8l-codes.js";
import { COLOR_INDEXING, CROSS_COLOR, PREDICTOR, SUBTRACT_GREEN, undo } from "./vp8l-transforms.js";

const HEADER_BYTES = 5;
const [LITERALS, LENGTHS, DISTANCES] = [256, 24, 40];
const MAX_CACHE_BITS = 11;
/** Multiplies a color to its place in the color cache. */
const CACHE_FACTOR = 0x1e35a7bd;
/** Distances of the pixels around: rows up in the high half, 8 less the columns to the left in the low half. */
const NEAR = fromHex(
  "1807171928062729161a262a38053739151b363a252b48044749141c353b464a242c58454b343c03" +
    "5759131d565a232d444c555b333d68026769121e666a222e545c434d656b323e78017779535d111f" +
    "646c424e767a212f757b313f636d525e00747c414f1020626e30737d515f40727e616f50717f6070",
);

/** @typedef {import("./vp8l-codes.js").PrefixCode} PrefixCode */
/** @typedef {[PrefixCode, PrefixCode, PrefixCode, PrefixCode, PrefixCode]} Group green, red, blue, alpha, distance */
/**
 * @typedef {{groups: Group[], image: Uint32Array | null, bits: number, cacheBits: number}} Codes image: group of each block
 */

/**
 * Width, height, alpha and version of a bit stream.
 *
 * @param {Uint8Array} data
 */
export function readVp8lHeader(data) {
  if (data.length < HEADER_BYTES) throw new RangeError("cut short");
  const fields = (data[1] | (data[2] << 8) | (data[3] << 16) | (data[4] << 24)) >>> 0;
  return {
    width: (fields & 0x3fff) + 1,
    height: ((fields >>> 14) & 0x3fff) + 1,
    alpha: (fields >>> 28) & 1,
    version: fields >>> 29,
  };
}

/**
 * Pixels as ARGB.
 *
 * @param {Uint8Array} data of a size that was checked
 * @throws {RangeError} damaged or forged.
 */
export function decodeVp8l(data) {
  const { width, height } = readVp8lHeader(data);
  const bits = new Bits(data, HEADER_BYTES);
  /** @type {import("./vp8l-transforms.js").Transform[]} */
  const transforms = [];
  let narrow = width;
  while (bits.take(1)) {
    const transform = readTransform(bits, narrow, height);
    if (transforms.some(({ type }) => type === transform.type)) throw new RangeError("a transform comes twice");
    if (transform.type === COLOR_INDEXING) narrow = Math.ceil(narrow / 2 ** transform.bits);
    transforms.push(transform);
  }
  const pixels = readImage(bits, narrow, height, true);
  return transforms.reduceRight((found, transform) => undo(transform, found, height), pixels);
}

/**
 * @param {Bits} bits
 * @param {number} width
 * @param {number} height
 * @returns {import("./vp8l-transforms.js").Transform}
 */
function readTransform(bits, width, height) {
  const type = bits.take(2);
  if (type === SUBTRACT_GREEN) return { type, width, bits: 0, data: new Uint32Array(0) };
  if (type === PREDICTOR || type === CROSS_COLOR) {
    const size = bits.take(3) + 2;
    return { type, width, bits: size, data: readImage(bits, blocks(width, size), blocks(height, size), false) };
  }
  const colors = bits.take(8) + 1;
  const data = readImage(bits, colors, 1, false);
  const bytes = new Uint8Array(data.buffer); // each color is the difference to the one before, byte by byte
  for (let i = 4; i < bytes.length; i++) bytes[i] += bytes[i - 4];
  return { type, width, bits: colors <= 2 ? 3 : colors <= 4 ? 2 : colors <= 16 ? 1 : 0, data };
}

/** @param {number} side @param {number} bits */
function blocks(side, bits) {
  return Math.ceil(side / 2 ** bits);
}

/**
 * An entropy-coded image.
 *
 * @param {Bits} bits
 * @param {number} width
 * @param {number} height
 * @param {boolean} main whether blocks of it may have codes of their own
 * @returns {Uint32Array}
 */
function readImage(bits, width, height, main) {
  const cacheBits = bits.take(1) ? bits.take(4) : 0;
  if (cacheBits > MAX_CACHE_BITS) throw new RangeError("a color cache that is too large");
  let image = null;
  let size = 0;
  let count = 1;
  if (main && bits.take(1)) {
    size = bits.take(3) + 2;
    image = readImage(bits, blocks(width, size), blocks(height, size), false).map((pixel) => (pixel >> 8) & 0xffff);
    count = 1 + image.reduce((most, group) => Math.max(most, group), 0);
  }
  const green = LITERALS + LENGTHS + (cacheBits ? 2 ** cacheBits : 0);
  const groups = Array.from({ length: count }, () => {
    const codes = [green, LITERALS, LITERALS, LITERALS, DISTANCES].map((alphabet) => readPrefixCode(bits, alphabet));
    return /** @type {Group} */ (/** @type {unknown} */ (codes));
  });
  return readPixels(bits, width, height, { groups, image, bits: size, cacheBits });
}

/**
 * @param {Bits} bits
 * @param {number} width
 * @param {number} height
 * @param {Codes} codes
 */
function readPixels(bits, width, height, { groups, image, bits: size, cacheBits }) {
  const pixels = new Uint32Array(width * height);
  const cache = new Uint32Array(cacheBits ? 2 ** cacheBits : 0);
  const perRow = blocks(width, size);
  let cached = 0; // pixels that the cache has seen
  for (let i = 0; i < pixels.length;) {
    const group = groups[image ? image[(Math.floor(i / width) >> size) * perRow + ((i % width) >> size)] : 0];
    const green = group[0].read(bits);
    if (green < LITERALS) {
      const [red, blue, alpha] = [group[1].read(bits), group[2].read(bits), group[3].read(bits)];
      pixels[i++] = (alpha << 24) | (red << 16) | (green << 8) | blue;
    } else if (green < LITERALS + LENGTHS) {
      i = copy(pixels, i, readNumber(bits, green - LITERALS), distanceOf(readNumber(bits, group[4].read(bits)), width));
    } else {
      for (; cached < i; cached++) cache[Math.imul(CACHE_FACTOR, pixels[cached]) >>> (32 - cacheBits)] = pixels[cached];
      pixels[i++] = cache[green - LITERALS - LENGTHS];
    }
  }
  return pixels;
}

/**
 * Repeat earlier pixels.
 *
 * @param {Uint32Array} pixels
 * @param {number} i
 * @param {number} length
 * @param {number} distance
 */
function copy(pixels, i, length, distance) {
  if (distance > i || i + length > pixels.length)
    throw new RangeError("pixels that are copied from or to beyond the image");
  for (const end = i + length; i < end; i++) pixels[i] = pixels[i - distance];
  return i;
}

/** A length or a distance, of its prefix and what follows it. @param {Bits} bits @param {number} prefix */
function readNumber(bits, prefix) {
  if (prefix < 4) return prefix + 1;
  const extra = (prefix - 2) >> 1;
  return (2 + (prefix & 1)) * 2 ** extra + bits.take(extra) + 1;
}

/** @param {number} code @param {number} width */
function distanceOf(code, width) {
  if (code > NEAR.length) return code - NEAR.length;
  const near = NEAR[code - 1];
  return Math.max((near >> 4) * width + 8 - (near & 15), 1);
}
