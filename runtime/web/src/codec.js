/** The codec: pictures to checked bytes and back, with one bundle. */
import { concat } from "./bytes.js";
import { decodePictures } from "./decoder.js";
import { encodePictures } from "./encoder.js";
import { ArgumentError } from "./errors.js";
import { MAX_PIXELS, QUALITIES } from "./limits.js";
import { Networks } from "./networks.js";
import { OpenStream } from "./open-stream.js";
import { pictureOf } from "./picture.js";
import { FactorizedPrior, HyperPrior } from "./prior.js";
import { Progress } from "./progress.js";
import { readChunks } from "./symbols.js";

/** @typedef {import("./picture.js").Source} Source */
/**
 * maxPixels: most pixels, padding included.
 *
 * @typedef {import("./progress.js").CallOptions & {maxPixels?: number}} Options
 */

export const DEFAULT_QUALITY = 50;

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
    this.prior =
      manifest.prior.kind === "factorized" ? new FactorizedPrior(tables) : new HyperPrior(tables, manifest, sessions);
  }

  /**
   * The picture of a stream.
   *
   * @param {Uint8Array} data
   * @param {Options} [options]
   * @throws {import("./errors.js").StreamError} damaged, forged or not a stream.
   * @throws {import("./errors.js").WrongModelError} written with another model.
   * @throws {import("./errors.js").LimitError} too many pixels.
   * @throws {import("./errors.js").MissingHalfError} the bundle has no decoder.
   * @throws {ArgumentError} the stream holds several pictures.
   */
  async decompress(data, options = {}) {
    const opened = this.#opened(data, options);
    if (opened.stream.count !== 1)
      throw new ArgumentError(`the stream holds ${opened.stream.count} pictures; use decompressBatch`);
    return (await decodePictures(opened, this, options))[0];
  }

  /**
   * All pictures of a stream; errors as in `decompress`.
   *
   * @param {Uint8Array} data
   * @param {Options} [options]
   */
  async decompressBatch(data, options = {}) {
    return decodePictures(this.#opened(data, options), this, options);
  }

  /**
   * All symbols of a stream in coding order; needs no decoder half. Errors as in `decompress`.
   *
   * @param {Uint8Array} data
   * @param {Options} [options]
   */
  async decompressSymbols(data, options = {}) {
    const { stream, layout, hasSymbols } = new OpenStream(data, this.bundle, this.#limit(options));
    if (!hasSymbols) return new Int16Array(0);
    const progress = new Progress(stream.count * layout.h, options);
    const found = [];
    for await (const { span, passes } of readChunks(stream, layout, this.bundle.tables, this.prior)) {
      for (const { buffer, byteOffset, byteLength } of passes)
        found.push(new Uint8Array(buffer, byteOffset, byteLength));
      await progress.advance(span.images * span.rows);
    }
    return new Int16Array(concat(found).buffer);
  }

  /**
   * The stream of one picture. A transparent picture keeps its alpha without loss.
   *
   * @param {Source} image
   * @param {number} [quality] 1 (smallest) to 100 (best)
   * @param {Options} [options]
   * @throws {ArgumentError} not an image, or a quality out of range.
   * @throws {import("./errors.js").LimitError} too many pixels.
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
    const pictures = images.map((image) => pictureOf(image, this.bundle.manifest.image.channels, maxPixels));
    return encodePictures(pictures, quality, this, { ...options, maxPixels });
  }

  /**
   * Make the first decode fast: open the decoder's sessions and decode the bundle's smallest golden stream, for which
   * engines compile what they run.
   */
  async warmUp() {
    this.bundle.require("decoder", "warmUp");
    const [smallest] = this.bundle.goldenStreams();
    if (smallest) await this.decompressBatch(await this.bundle.read(smallest));
  }

  /** Free the memory of all sessions; the next call opens them again. */
  async release() {
    await this.sessions.release();
  }

  /** @param {Uint8Array} data @param {Options} options */
  #opened(data, options) {
    this.bundle.require("decoder", "decompress");
    return new OpenStream(data, this.bundle, this.#limit(options));
  }

  /** @param {Options} options */
  #limit({ maxPixels }) {
    if (maxPixels === undefined) return Math.min(this.bundle.manifest.limits.max_pixels, MAX_PIXELS);
    if (Number.isInteger(maxPixels) && maxPixels > 0) return maxPixels;
    throw new ArgumentError(`maxPixels is ${maxPixels}, expected an integer of at least 1`);
  }
}
