/** How the latent of a stream falls into chunks (FORMAT.md, Chunks): a function of sizes alone. */
import { LimitError } from "./errors.js";
import { CHUNK_SYMBOLS, MAX_CHUNK_SYMBOLS } from "./limits.js";

/**
 * Facts of a model that decide sizes.
 *
 * @typedef {object} Geometry
 * @property {readonly [number, number]} stride pixels per latent position, [rows, columns]
 * @property {number} channels latent channels
 * @property {number} hyperStride latent positions per hyper position; 1 without a hyperprior
 */

/**
 * One chunk: latent rows [firstRow, firstRow + rows) of images [firstImage, firstImage + images).
 *
 * @typedef {object} Span
 * @property {number} firstImage
 * @property {number} images
 * @property {number} firstRow
 * @property {number} rows
 */

/** The chunks of a stream of `count` images. */
export class Layout {
  /**
   * @param {Geometry} geometry
   * @param {number} count
   * @param {number} height pixels of each image
   * @param {number} width pixels of each image
   * @param {number} maxPixels most pixels that the decoder may make, padding included
   * @throws {LimitError} more pixels than that, or rows too wide for a chunk.
   */
  constructor({ stride, channels, hyperStride }, count, height, width, maxPixels) {
    this.h = Math.ceil(height / stride[0]);
    this.w = Math.ceil(width / stride[1]);
    const pixels = count * this.h * stride[0] * this.w * stride[1];
    if (pixels > maxPixels) {
      throw new LimitError(
        `${count} x ${width}x${height} is ${pixels} pixels with padding, the limit is ${maxPixels}; use a smaller image, or raise maxPixels`,
      );
    }
    const perRow = channels * this.w;
    this.#count = count;
    this.#images = Math.floor(CHUNK_SYMBOLS / (perRow * this.h));
    this.#rows = this.#images ? this.h : rowsPerChunk(hyperStride, this.h, perRow);
    this.#perImage = Math.ceil(this.h / this.#rows);
    this.chunks = this.#images ? Math.ceil(count / this.#images) : count * this.#perImage;
  }

  #count;
  /** Whole images of a chunk; 0 where an image takes several chunks. */
  #images;
  #rows;
  #perImage;

  /** @returns {Generator<Span, void>} */
  *spans() {
    for (let image = 0; image < this.#count; image += this.#images || 1) {
      const images = Math.min(this.#images || 1, this.#count - image);
      for (let row = 0; row < this.h; row += this.#rows) {
        yield { firstImage: image, images, firstRow: row, rows: Math.min(this.#rows, this.h - row) };
      }
    }
  }
}

/**
 * Rows that fit in a chunk: a multiple of the hyper stride, and at least that.
 *
 * @param {number} hyperStride
 * @param {number} h
 * @param {number} perRow symbols
 */
function rowsPerChunk(hyperStride, h, perRow) {
  if (Math.min(hyperStride, h) * perRow > MAX_CHUNK_SYMBOLS) {
    throw new LimitError(
      `${hyperStride} latent rows of ${perRow} symbols exceed the ${MAX_CHUNK_SYMBOLS} symbols of a chunk; cut the image into narrower ones`,
    );
  }
  return Math.max(Math.floor(CHUNK_SYMBOLS / perRow / hyperStride), 1) * hyperStride;
}
