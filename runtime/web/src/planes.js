/** What the passes of a chunk have coded so far, at which positions. */
import { BundleError } from "./errors.js";
import { SCALES } from "./limits.js";

/** @typedef {import("./prior.js").Chunk} Chunk */
/** @typedef {import("./prior.js").Exchange} Exchange */
/** @typedef {import("./sessions.js").Feed} Feed */
/** @typedef {import("./sessions.js").Output} Output */

/** Symbols and means of a chunk [n, c, rows, w], filled in pass by pass. */
export class Planes {
  /**
   * @param {Chunk} chunk
   * @param {number} channels
   * @param {Float32Array | null} steps
   * @param {Uint8Array} scaleTables
   * @param {Exchange} exchange
   */
  constructor({ images, rows, w }, channels, steps, scaleTables, exchange) {
    this.#images = images;
    this.#channels = channels;
    this.#rows = rows;
    this.#w = w;
    this.#steps = steps;
    this.#scaleTables = scaleTables;
    this.#exchange = exchange;
    this.symbols = new Int16Array(images * channels * rows * w);
    this.means = new Float32Array(this.symbols.length);
  }

  #images;
  #channels;
  #rows;
  #w;
  #steps;
  #scaleTables;
  #exchange;

  /**
   * Code the elements of one pass.
   *
   * @param {Output} index table index of every element
   * @param {Output} mean
   * @param {number} first channel
   * @param {number} size channels
   * @param {Int32Array | null} squares positions; null for all
   * @param {boolean} last
   * @returns {Record<string, Feed>} what a second pass is told about these elements
   */
  code(index, mean, first, size, squares, last) {
    const places = this.#places(first, size, squares ?? checkerboard(this.#rows, this.#w, null));
    const means = /** @type {Float32Array} */ (mean.data);
    const symbols = this.#exchange({
      tables: this.#tablesOf(index),
      wanted: this.#wanted(places, means),
      most: 32767,
      last,
    });
    const dims = [this.#images, size, 1, places.length / this.#images / size];
    const [known, latent] = [new Float32Array(places.length), new Float32Array(places.length)];
    for (let i = 0; i < places.length; i++) {
      this.symbols[places[i]] = known[i] = symbols[i];
      this.means[places[i]] = means[i];
      latent[i] = symbols[i] + means[i];
    }
    return { known_symbols: { data: known, dims }, known_latent: { data: latent, dims } };
  }

  /**
   * Symbols, and symbol + mean, of the first channels at every position.
   *
   * @param {number} channels
   * @returns {Record<string, Feed>}
   */
  known(channels) {
    const places = this.#places(0, channels, checkerboard(this.#rows, this.#w, null));
    const dims = [this.#images, channels, this.#rows, this.#w];
    const [known, latent] = [new Float32Array(places.length), new Float32Array(places.length)];
    for (let i = 0; i < places.length; i++) {
      known[i] = this.symbols[places[i]];
      latent[i] = known[i] + this.means[places[i]];
    }
    return { known_symbols: { data: known, dims }, known_latent: { data: latent, dims } };
  }

  /** @param {Int32Array} places @param {Float32Array} means */
  #wanted(places, means) {
    if (!this.#steps) return null;
    const wanted = new Float32Array(places.length);
    for (let i = 0; i < places.length; i++) wanted[i] = this.#steps[places[i]] - means[i];
    return wanted;
  }

  /** @param {Output} index */
  #tablesOf({ data }) {
    const tables = new Uint8Array(data.length);
    for (let i = 0; i < data.length; i++) {
      if (data[i] >= SCALES)
        throw new BundleError(
          `the prior gave table index ${data[i]}, expected at most ${SCALES - 1}; export the bundle again`,
        );
      tables[i] = this.#scaleTables[data[i]];
    }
    return tables;
  }

  /**
   * Where the elements of a pass are, in coding order.
   *
   * @param {number} first
   * @param {number} size
   * @param {Int32Array} squares
   */
  #places(first, size, squares) {
    const area = this.#rows * this.#w;
    const places = new Int32Array(this.#images * size * squares.length);
    let k = 0;
    for (let image = 0; image < this.#images; image++) {
      for (let channel = first; channel < first + size; channel++) {
        const plane = (image * this.#channels + channel) * area;
        for (let i = 0; i < squares.length; i++) places[k++] = plane + squares[i];
      }
    }
    return places;
  }
}

/**
 * Positions, ascending, whose row + column has a parity; all for null.
 *
 * @param {number} rows
 * @param {number} w
 * @param {number | null} parity with rows counted from the chunk's first
 */
export function checkerboard(rows, w, parity) {
  const squares = new Int32Array(rows * w);
  let count = 0;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < w; column++) {
      if (parity === null || (row + column) % 2 === parity) squares[count++] = row * w + column;
    }
  }
  return squares.subarray(0, count);
}
