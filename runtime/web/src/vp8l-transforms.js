/** The transforms of a VP8L bit stream, undone (RFC 9649, section 4). Pixels are ARGB in 32 bits. */

const BLACK = 0xff000000;
const BYTES = [24, 16, 8, 0];

/**
 * A transform as it was read.
 *
 * @typedef {object} Transform
 * @property {number} type
 * @property {number} width of the image before the transform
 * @property {number} bits log2 of the size of blocks, or of the pixels in one
 * @property {Uint32Array} data an image of blocks, or a table of colors
 */

export const [PREDICTOR, CROSS_COLOR, SUBTRACT_GREEN, COLOR_INDEXING] = [0, 1, 2, 3];

/**
 * @param {Transform} transform
 * @param {Uint32Array} pixels
 * @param {number} height
 * @returns {Uint32Array} the pixels, in place where their number stays
 */
export function undo(transform, pixels, height) {
  if (transform.type === PREDICTOR) undoPredictor(transform, pixels, height);
  else if (transform.type === CROSS_COLOR) undoCrossColor(transform, pixels, height);
  else if (transform.type === SUBTRACT_GREEN) undoSubtractGreen(pixels);
  else return undoColorIndexing(transform, pixels, height);
  return pixels;
}

/** @param {Transform} transform @param {Uint32Array} pixels @param {number} height */
function undoPredictor({ width, bits, data }, pixels, height) {
  const blocks = Math.ceil(width / 2 ** bits);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      let predicted = BLACK;
      if (!y) predicted = x ? pixels[i - 1] : BLACK;
      else if (!x) predicted = pixels[i - width];
      else predicted = predict((data[(y >> bits) * blocks + (x >> bits)] >> 8) & 15, pixels, i, width);
      pixels[i] = add(pixels[i], predicted);
    }
  }
}

/** @param {number} mode @param {Uint32Array} pixels @param {number} i @param {number} width */
function predict(mode, pixels, i, width) {
  const [left, top, right, corner] = [pixels[i - 1], pixels[i - width], pixels[i - width + 1], pixels[i - width - 1]];
  switch (mode) {
    case 1:
      return left;
    case 2:
      return top;
    case 3:
      return right;
    case 4:
      return corner;
    case 5:
      return average(average(left, right), top);
    case 6:
      return average(left, corner);
    case 7:
      return average(left, top);
    case 8:
      return average(corner, top);
    case 9:
      return average(top, right);
    case 10:
      return average(average(left, corner), average(top, right));
    case 11:
      return select(left, top, corner);
    case 12:
      return perByte(left, top, corner, (a, b, c) => a + b - c);
    case 13:
      return perByte(average(left, top), corner, 0, (a, b) => a + Math.trunc((a - b) / 2));
    default:
      return BLACK;
  }
}

/** Byte by byte, modulo 256. @param {number} a @param {number} b */
function add(a, b) {
  const high = ((a & 0xff00ff00) >>> 0) + ((b & 0xff00ff00) >>> 0);
  return ((high & 0xff00ff00) | (((a & 0xff00ff) + (b & 0xff00ff)) & 0xff00ff)) >>> 0;
}

/** @param {number} a @param {number} b */
function average(a, b) {
  return ((((a ^ b) & 0xfefefefe) >>> 1) + (a & b)) >>> 0;
}

/** @param {number} left @param {number} top @param {number} corner */
function select(left, top, corner) {
  let difference = 0;
  for (const shift of BYTES) {
    const base = (corner >>> shift) & 255;
    difference += Math.abs(((top >>> shift) & 255) - base) - Math.abs(((left >>> shift) & 255) - base);
  }
  return difference < 0 ? left : top;
}

/** @param {number} a @param {number} b @param {number} c @param {(a: number, b: number, c: number) => number} call */
function perByte(a, b, c, call) {
  let found = 0;
  for (const shift of BYTES) {
    const value = call((a >>> shift) & 255, (b >>> shift) & 255, (c >>> shift) & 255);
    found |= (value < 0 ? 0 : value > 255 ? 255 : value) << shift;
  }
  return found >>> 0;
}

/** @param {Transform} transform @param {Uint32Array} pixels @param {number} height */
function undoCrossColor({ width, bits, data }, pixels, height) {
  const blocks = Math.ceil(width / 2 ** bits);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const factors = data[(y >> bits) * blocks + (x >> bits)];
      const green = pixels[i] >> 8;
      const red = ((pixels[i] >> 16) + part(factors, green)) & 255;
      const blue = (pixels[i] + part(factors >> 8, green) + part(factors >> 16, red)) & 255;
      pixels[i] = ((pixels[i] & 0xff00ff00) | (red << 16) | blue) >>> 0;
    }
  }
}

/** Product of two signed bytes in 3.5 bits. @param {number} factor @param {number} color */
function part(factor, color) {
  return (((factor << 24) >> 24) * ((color << 24) >> 24)) >> 5;
}

/** @param {Uint32Array} pixels */
function undoSubtractGreen(pixels) {
  for (let i = 0; i < pixels.length; i++) {
    const green = (pixels[i] >> 8) & 255;
    pixels[i] = add(pixels[i], (green << 16) | green);
  }
}

/** @param {Transform} transform @param {Uint32Array} packed @param {number} height */
function undoColorIndexing({ width, bits, data }, packed, height) {
  const pixels = new Uint32Array(width * height);
  const rowLength = Math.ceil(width / 2 ** bits);
  const [bitsEach, inPixel] = [8 >> bits, 2 ** bits - 1];
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const green = (packed[y * rowLength + (x >> bits)] >> 8) & 255;
      pixels[i] = data[(green >> (bitsEach * (x & inPixel))) & (2 ** bitsEach - 1)] ?? 0;
    }
  }
  return pixels;
}
