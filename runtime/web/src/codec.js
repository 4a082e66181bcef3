/** The codec: pictures to checked bytes and back, with one bundle. */
import { ALPHA, EXIF, ICC, NAMES, Stream, writeStream } from "./container.js";
import { ArgumentError, LimitError, StreamError, WrongModelError } from "./errors.js";
import { Layout } from "./layout.js";
import { MAX_PIXELS, MAX_SECTION_BYTES, QUALITIES } from "./limits.js";
import { filesOfHalf } from "./manifest.js";
import { Networks } from "./networks.js";
import { Picture, pictureOf, toGray } from "./picture.js";
import { FactorizedPrior, HyperPrior } from "./prior.js";
import { Progress } from "./progress.js";
import { restoreLatents } from "./quantizer.js";
import { packAlpha, packNames, unpackAlpha, unpackNames } from "./sections.js";
import { ChunkWriter, readChunks } from "./symbols.js";

/** @typedef {import("./picture.js").Source} Source */
/** @typedef {import("./networks.js").Images} Images */
/** @typedef {import("./progress.js").CallOptions & {maxPixels?: number}} Options maxPixels: most pixels, padding included */

export const DEFAULT_QUALITY = 50;
/** Share of a decode that the symbols take; the networks take the rest. */
const SYMBOLS_SHARE = 0.25;

/** One bundle, ready to compress and decompress. Calls may overlap; graphs run one at a time. */
export class Codec {
  /**
   * @param {import("./bundle.js").Bundle} bundle
   * @param {import("./sessions.js").Sessions} sessions
   */
  constructor(bundle, sessions) {
    const { manifest, tables } = bundle;
    this.bundle = bundle;
    this.sessions = sessions;
    this.networks = new Networks(manifest, sessions);
    this.prior = manifest.prior.kind === "factorized" ? new FactorizedPrior(tables) : new HyperPrior(tables, manifest, sessions);
  }

  /**
   * The picture of a stream.
   *
   * @param {Uint8Array} data
   * @param {Options} [options]
   * @throws {StreamError} damaged, forged or not a stream.
   * @throws {WrongModelError} written with another model.
   * @throws {LimitError} too many pixels.
   * @throws {import("./errors.js").MissingHalfError} the bundle has no decoder.
   * @throws {ArgumentError} the stream holds several pictures.
   */
  async decompress(data, options = {}) {
    const stream = new Stream(data);
    if (stream.count !== 1) throw new ArgumentError(`the stream holds ${stream.count} pictures; use decompressBatch`);
    return (await this.#decompress(stream, options))[0];
  }

  /**
   * All pictures of a stream; errors as in `decompress`.
   *
   * @param {Uint8Array} data
   * @param {Options} [options]
   */
  async decompressBatch(data, options = {}) {
    return this.#decompress(new Stream(data), options);
  }

  /**
   * All symbols of a stream in coding order; needs no decoder half. Errors as in `decompress`.
   *
   * @param {Uint8Array} data
   * @param {Options} [options]
   */
  async decompressSymbols(data, options = {}) {
    const stream = new Stream(data);
    const layout = this.#layoutOf(stream, options);
    const progress = new Progress(stream.count * layout.h, options);
    const found = [];
    for await (const { span, passes } of readChunks(stream, layout, this.bundle.tables, this.prior)) {
      found.push(...passes);
      await progress.advance(span.images * span.rows);
    }
    const symbols = new Int16Array(found.reduce((sum, part) => sum + part.length, 0));
    let position = 0;
    for (const part of found) {
      symbols.set(part, position);
      position += part.length;
    }
    return symbols;
  }

  /**
   * The stream of one picture. A transparent picture keeps its alpha without loss.
   *
   * @param {Source} image
   * @param {number} [quality] 1 (smallest) to 100 (best)
   * @param {Options} [options]
   * @throws {ArgumentError} not an image, or a quality out of range.
   * @throws {LimitError} too many pixels.
   * @throws {import("./errors.js").MissingHalfError} the bundle has no encoder.
   */
  async compress(image, quality = DEFAULT_QUALITY, options = {}) {
    return this.compressBatch([image], quality, options);
  }

  /**
   * One stream of several images of one size; they share its header and its coder. Errors as in `compress`.
   *
   * @param {readonly Source[]} images
   * @param {number} [quality]
   * @param {Options & {names?: readonly string[]}} [options] names: relative paths, one for each image
   */
  async compressBatch(images, quality = DEFAULT_QUALITY, options = {}) {
    this.bundle.require("encoder", "compress");
    if (!Number.isInteger(quality) || quality < 1 || quality > QUALITIES) {
      throw new ArgumentError(`quality is ${quality}, expected an integer in 1..${QUALITIES}`);
    }
    const maxPixels = this.#limit(options);
    const { channels } = this.bundle.manifest.image;
    const pictures = images.map((image) => pictureOf(image, channels, maxPixels));
    const { count, height, width } = checkTogether(pictures, options.names);
    const layout = new Layout(this.bundle.geometry, count, height, width, maxPixels);
    const sections = await sectionsOf(pictures, options.names);
    const { chunks, symbolHash } = await this.#code(pictures, layout, quality, options);
    const gray = channels === 1 || pictures.every((picture) => picture.gray);
    return writeStream({ streamId: this.bundle.streamId, quality, count, width, height, gray }, sections, chunks, symbolHash);
  }

  /**
   * Open the sessions of a half ahead of the first call.
   *
   * @param {import("./manifest.js").Half} half
   */
  async open(half) {
    this.bundle.require(half, "open");
    const graphs = filesOfHalf(this.bundle.manifest, half).filter((name) => name.endsWith(".onnx"));
    for (const name of graphs) await this.sessions.open(name);
  }

  /** Free the memory of all sessions; the next call opens them again. */
  async release() {
    await this.sessions.release();
  }

  /**
   * @param {Stream} stream
   * @param {Options} options
   */
  async #decompress(stream, options) {
    this.bundle.require("decoder", "decompress");
    const layout = this.#layoutOf(stream, options);
    const { count, height, width, sections } = stream;
    const alpha = sections.has(ALPHA) ? unpackAlpha(/** @type {Uint8Array} */ (sections.get(ALPHA)), count, height, width) : null;
    const names = sections.has(NAMES) ? unpackNames(/** @type {Uint8Array} */ (sections.get(NAMES)), count) : null;
    const pixels = await this.#pixelsOf(stream, layout, options);
    const channels = stream.gray ? 1 : this.bundle.manifest.image.channels;
    const size = height * width;
    return Array.from({ length: count }, (_, i) => new Picture({
      pixels: pixels.subarray(i * size * channels, (i + 1) * size * channels),
      width, height, channels,
      alpha: alpha && alpha.subarray(i * size, (i + 1) * size),
      icc: sections.get(ICC), exif: sections.get(EXIF), name: names?.[i],
    }));
  }

  /**
   * Pixels of all images, uint8 [count, height, width, channels], one channel if the stream is gray.
   *
   * @param {Stream} stream
   * @param {Layout} layout
   * @param {Options} options
   */
  async #pixelsOf(stream, layout, options) {
    const { tables, geometry, manifest } = this.bundle;
    const { h, w } = layout;
    const { channels } = manifest.image;
    const size = stream.height * stream.width;
    const kept = stream.gray ? 1 : channels;
    const pixels = new Uint8Array(stream.count * size * kept);
    const progress = new Progress(stream.count * h * w, options);
    let latents = new Float32Array(0);
    for await (const { span, symbols, means } of readChunks(stream, layout, tables, this.prior)) {
      await progress.advance(SYMBOLS_SHARE * span.images * span.rows * w);
      const part = restoreLatents(symbols, means, tables, stream.quality, span.rows * w);
      if (span.firstRow === 0) latents = span.rows === h ? part : new Float32Array(geometry.channels * h * w);
      putRows(part, geometry.channels, latents, h, w, span);
      if (span.firstRow + span.rows < h) continue;
      const images = { pixels: new Uint8Array(span.images * size * channels), count: span.images, height: stream.height, width: stream.width, channels };
      await this.networks.decode(latents, images, (positions) => progress.advance((1 - SYMBOLS_SHARE) * positions));
      pixels.set(kept === channels ? images.pixels : toGray(images.pixels), span.firstImage * size * kept);
    }
    return pixels;
  }

  /**
   * @param {readonly Picture[]} pictures
   * @param {Layout} layout
   * @param {number} quality
   * @param {Options} options
   */
  async #code(pictures, layout, quality, options) {
    const { h, w } = layout;
    const c = this.bundle.geometry.channels;
    const progress = new Progress(2 * pictures.length * h * w, options);
    const writer = new ChunkWriter(this.bundle.tables, this.prior, quality);
    let latents = new Float32Array(0);
    for (const span of layout.spans()) {
      if (span.firstRow === 0) latents = await this.networks.encode(stacked(pictures, span), (positions) => progress.advance(positions));
      await writer.write(rowsOf(latents, c, h, w, span), span, w);
      await progress.advance(span.images * span.rows * w);
    }
    return writer;
  }

  /**
   * @param {Stream} stream
   * @param {Options} options
   */
  #layoutOf(stream, options) {
    const { streamId, geometry } = this.bundle;
    if (stream.streamId !== streamId) {
      throw new WrongModelError(`the stream needs the model with stream id ${stream.streamId}, ${this.bundle} has ${streamId}; load the bundle that wrote it`);
    }
    const layout = new Layout(geometry, stream.count, stream.height, stream.width, this.#limit(options));
    if (stream.chunks !== layout.chunks) {
      throw new StreamError(`stream: ${stream.chunks} chunks, expected ${layout.chunks} for these sizes; the stream is damaged, get it again`);
    }
    return layout;
  }

  /** @param {Options} options */
  #limit({ maxPixels }) {
    if (maxPixels === undefined) return Math.min(this.bundle.manifest.limits.max_pixels, MAX_PIXELS);
    if (Number.isInteger(maxPixels) && maxPixels > 0) return maxPixels;
    throw new ArgumentError(`maxPixels is ${maxPixels}, expected an integer of at least 1`);
  }
}

/**
 * @param {readonly Picture[]} pictures
 * @param {readonly string[]} [names]
 */
function checkTogether(pictures, names) {
  if (!pictures.length) throw new ArgumentError("images: found none, expected at least one");
  const { height, width } = pictures[0];
  const other = pictures.find((picture) => picture.height !== height || picture.width !== width);
  if (other) {
    throw new ArgumentError(`images: one is ${other.width}x${other.height}, the first is ${width}x${height}; one stream holds images of one size`);
  }
  if (names && names.length !== pictures.length) throw new ArgumentError(`names: found ${names.length}, expected one for each of ${pictures.length} images`);
  return { count: pictures.length, height, width };
}

/**
 * @param {readonly Picture[]} pictures
 * @param {readonly string[]} [names]
 */
async function sectionsOf(pictures, names) {
  /** @type {Map<number, Uint8Array>} */
  const sections = new Map();
  if (pictures.some(({ alpha }) => alpha)) sections.set(ALPHA, await packAlpha(alphaOf(pictures), pictures[0].height, pictures[0].width));
  const [{ icc, exif }] = pictures;
  if (icc?.length && pictures.every((picture) => same(picture.icc, icc))) sections.set(ICC, icc);
  if (exif?.length && pictures.every((picture) => same(picture.exif, exif))) sections.set(EXIF, exif);
  if (names) sections.set(NAMES, await packNames(names));
  for (const [id, data] of sections) {
    if (data.length > MAX_SECTION_BYTES) throw new LimitError(`section ${id} takes ${data.length} bytes, a stream holds at most ${MAX_SECTION_BYTES}; leave it out`);
  }
  return sections;
}

/** Alpha planes of all pictures, opaque for those without. @param {readonly Picture[]} pictures */
function alphaOf(pictures) {
  const size = pictures[0].height * pictures[0].width;
  const planes = new Uint8Array(pictures.length * size).fill(255);
  pictures.forEach(({ alpha }, i) => alpha && planes.set(alpha, i * size));
  return planes;
}

/** @param {Uint8Array | null} a @param {Uint8Array} b */
function same(a, b) {
  return a?.length === b.length && a.every((byte, i) => byte === b[i]);
}

/**
 * Images of a chunk as the networks take them.
 *
 * @param {readonly Picture[]} pictures
 * @param {import("./layout.js").Span} span
 * @returns {Images}
 */
function stacked(pictures, { firstImage, images }) {
  const { height, width, channels } = pictures[0];
  const size = height * width * channels;
  if (images === 1) return { pixels: pictures[firstImage].pixels, count: 1, height, width, channels };
  const pixels = new Uint8Array(images * size);
  for (let i = 0; i < images; i++) pixels.set(pictures[firstImage + i].pixels, i * size);
  return { pixels, count: images, height, width, channels };
}

/**
 * Latents of a chunk out of those of its image; all of them where the chunk holds whole images.
 *
 * @param {Float32Array} latents [images, c, h, w]
 * @param {number} c
 * @param {number} h
 * @param {number} w
 * @param {import("./layout.js").Span} span
 */
function rowsOf(latents, c, h, w, { firstRow, rows }) {
  if (rows === h) return latents;
  const part = new Float32Array(c * rows * w);
  for (let channel = 0; channel < c; channel++) {
    const from = (channel * h + firstRow) * w;
    part.set(latents.subarray(from, from + rows * w), channel * rows * w);
  }
  return part;
}

/**
 * The opposite of `rowsOf`.
 *
 * @param {Float32Array} part [c, rows, w]
 * @param {number} c
 * @param {Float32Array} latents [c, h, w]
 * @param {number} h
 * @param {number} w
 * @param {import("./layout.js").Span} span
 */
function putRows(part, c, latents, h, w, { firstRow, rows }) {
  if (part === latents) return;
  for (let channel = 0; channel < c; channel++) {
    latents.set(part.subarray(channel * rows * w, (channel + 1) * rows * w), (channel * h + firstRow) * w);
  }
}
