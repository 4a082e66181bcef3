/** Pictures in and out: RGBA as canvases have it, and the planes that networks take. */
import { ArgumentError, LimitError } from "./errors.js";
import { MAX_DIMENSION } from "./limits.js";

/** ITU-R 601 luma of R, G, B in 1/65536. */
const LUMA = [19595, 38470, 7471];

/**
 * What `compress` takes: a Picture, or RGBA pixels like those of an ImageData, alpha not premultiplied.
 *
 * @typedef {Picture | {data: Uint8ClampedArray | Uint8Array, width: number, height: number}} Source
 */

/** One picture. */
export class Picture {
  /**
   * @param {object} facts
   * @param {Uint8Array} facts.pixels [height, width, channels]
   * @param {number} facts.width
   * @param {number} facts.height
   * @param {number} facts.channels 1 or 3
   * @param {Uint8Array | null} [facts.alpha] [height, width], not premultiplied
   * @param {boolean} [facts.gray] whether the source was gray, also where pixels repeat it as RGB
   * @param {Uint8Array | null} [facts.icc] ICC profile that fits the pixels
   * @param {Uint8Array | null} [facts.exif] TIFF bytes; the orientation has been applied and is 1
   * @param {string | null} [facts.name] relative path, of a picture in a packed stream
   */
  constructor({
    pixels,
    width,
    height,
    channels,
    alpha = null,
    gray = channels === 1,
    icc = null,
    exif = null,
    name = null,
  }) {
    this.pixels = pixels;
    this.width = width;
    this.height = height;
    this.channels = channels;
    this.alpha = alpha;
    this.gray = gray;
    this.icc = icc;
    this.exif = exif;
    this.name = name;
  }

  /** RGBA, as an ImageData has it. */
  rgba() {
    const { pixels, channels, alpha } = this;
    const found = new Uint8ClampedArray(4 * this.width * this.height).fill(255);
    const step = channels === 1 ? 0 : 1;
    for (let i = 0, from = 0, to = 0; to < found.length; i++, from += channels, to += 4) {
      found[to] = pixels[from];
      found[to + 1] = pixels[from + step];
      found[to + 2] = pixels[from + 2 * step];
      if (alpha) found[to + 3] = alpha[i];
    }
    return found;
  }

  /** The picture as an ImageData; browsers only. */
  toImageData() {
    return new ImageData(this.rgba(), this.width, this.height);
  }
}

/**
 * A source as a picture with the channels that a model takes.
 *
 * @param {Source} source
 * @param {number} channels 1 or 3
 * @param {number} maxPixels
 * @throws {ArgumentError} not a picture, or not as many bytes as its size says.
 * @throws {LimitError} too many pixels.
 */
export function pictureOf(source, channels, maxPixels) {
  if (!source || typeof source !== "object")
    throw new ArgumentError(`image: found ${source}, expected ImageData or a Picture`);
  checkSize(source.width, source.height, maxPixels);
  return matchChannels("pixels" in source ? checkPicture(source) : fromRgba(source), channels);
}

/**
 * Luma of RGB.
 *
 * @param {Uint8Array} rgb
 */
export function toGray(rgb) {
  const gray = new Uint8Array(rgb.length / 3);
  for (let i = 0, from = 0; i < gray.length; i++, from += 3) {
    gray[i] = (LUMA[0] * rgb[from] + LUMA[1] * rgb[from + 1] + LUMA[2] * rgb[from + 2] + 32768) >>> 16;
  }
  return gray;
}

/** @param {number} width @param {number} height @param {number} maxPixels */
function checkSize(width, height, maxPixels) {
  for (const [name, value] of Object.entries({ width, height })) {
    if (!Number.isInteger(value) || value < 1)
      throw new ArgumentError(`image: ${name} is ${value}, expected 1..${MAX_DIMENSION}`);
    if (value > MAX_DIMENSION)
      throw new LimitError(`image: ${name} is ${value}, the limit is ${MAX_DIMENSION}; cut the image`);
  }
  if (width * height > maxPixels)
    throw new LimitError(`image: ${width * height} pixels, the limit is ${maxPixels}; raise maxPixels`);
}

/** @param {Picture} picture */
function checkPicture(picture) {
  const { pixels, width, height, channels, alpha } = picture;
  if (channels !== 1 && channels !== 3) throw new ArgumentError(`image: ${channels} channels, expected 1 or 3`);
  checkBytes(pixels, width * height * channels, "pixels");
  if (alpha) checkBytes(alpha, width * height, "alpha");
  return picture;
}

/** @param {{data: Uint8ClampedArray | Uint8Array, width: number, height: number}} image */
function fromRgba({ data, width, height }) {
  checkBytes(data, 4 * width * height, "data");
  const pixels = new Uint8Array(3 * width * height);
  const alpha = new Uint8Array(width * height);
  let [gray, opaque] = [true, true];
  for (let i = 0, from = 0, to = 0; i < alpha.length; i++, from += 4, to += 3) {
    const [red, green, blue] = [data[from], data[from + 1], data[from + 2]];
    pixels[to] = red;
    pixels[to + 1] = green;
    pixels[to + 2] = blue;
    alpha[i] = data[from + 3];
    gray &&= red === green && green === blue;
    opaque &&= alpha[i] === 255;
  }
  return new Picture({ pixels, width, height, channels: 3, alpha: opaque ? null : alpha, gray });
}

/** @param {unknown} bytes @param {number} expected @param {string} name */
function checkBytes(bytes, expected, name) {
  if (!(bytes instanceof Uint8Array || bytes instanceof Uint8ClampedArray) || bytes.length !== expected) {
    const found = ArrayBuffer.isView(bytes) ? `${bytes.byteLength} bytes` : typeof bytes;
    throw new ArgumentError(`image: ${name} is ${found}, expected ${expected} bytes`);
  }
}

/** @param {Picture} picture @param {number} channels */
function matchChannels(picture, channels) {
  if (picture.channels === channels) return picture;
  if (channels === 1)
    return new Picture({ ...picture, pixels: toGray(picture.pixels), channels, icc: null, gray: true });
  const pixels = new Uint8Array(3 * picture.pixels.length);
  for (let i = 0; i < pixels.length; i++) pixels[i] = picture.pixels[Math.floor(i / 3)];
  return new Picture({ ...picture, pixels, channels, gray: true });
}
