/**
 * Which table and which mean each latent element has: one walk over a chunk, the same for compress and decompress.
 *
 * A walk visits the passes of a chunk in coding order and asks for the symbols of each: a writer rounds wanted values,
 * a reader decodes them. All that a later pass depends on comes from the symbols, so both sides see the same tables.
 */
import { BundleError } from "./errors.js";
import { MAX_HYPER_SYMBOL } from "./limits.js";
import { groupsOf } from "./manifest.js";
import { Planes, checkerboard } from "./planes.js";
import { inSteps } from "./quantizer.js";

/**
 * What a walk needs to go on: the symbols of a pass.
 *
 * @typedef {object} Asked
 * @property {Uint8Array} tables of every element, in coding order
 * @property {Float32Array | null} wanted values to round, where the caller compresses
 * @property {number} most magnitude of a symbol that is rounded
 * @property {boolean} last
 */

/** @typedef {(asked: Asked) => Int16Array} Exchange */

/**
 * A chunk: latent rows of some images.
 *
 * @typedef {object} Chunk
 * @property {number} images
 * @property {number} firstRow
 * @property {number} rows
 * @property {number} w latent columns
 */

/** @typedef {{symbols: Int16Array, means: Float32Array | null}} Coded symbols and means [n, c, rows, w] of a chunk */
/** @typedef {import("./sessions.js").Feed} Feed */
/** @typedef {import("./tables.js").Tables} Tables */

/** One table per channel and quality; one pass. */
export class FactorizedPrior {
  /** @param {Tables} tables */
  constructor(tables) {
    if (!tables.tableIndex) throw new BundleError("entropy.npz: no table_index for a factorized prior");
    this.tables = tables;
    this.index = tables.tableIndex;
  }

  /**
   * @param {Chunk} chunk
   * @param {number} quality
   * @param {Float32Array | null} latents [n, c, rows, w] where the caller compresses
   * @param {Exchange} exchange
   * @returns {Promise<Coded>}
   */
  async walk({ images, rows, w }, quality, latents, exchange) {
    const wanted = latents && inSteps(latents, this.tables, quality, rows * w);
    const tables = spread(this.index, quality, images, rows * w);
    return { symbols: exchange({ tables, wanted, most: 32767, last: true }), means: null };
  }
}

/** Tables and means per element, from hyper symbols and from the symbols of the passes before. */
export class HyperPrior {
  /**
   * @param {Tables} tables
   * @param {import("./manifest.js").Manifest} manifest
   * @param {import("./sessions.js").Sessions} sessions
   */
  constructor(tables, manifest, sessions) {
    if (manifest.prior.kind !== "hyperprior" || !tables.hyperTableIndex || !tables.scaleTables) {
      throw new BundleError("entropy.npz: no tables for a hyperprior");
    }
    this.tables = tables;
    this.facts = manifest.prior;
    this.groups = groupsOf(manifest);
    this.channels = manifest.latent.channels;
    this.sessions = sessions;
    this.hyperIndex = tables.hyperTableIndex;
    this.scaleTables = tables.scaleTables;
  }

  /**
   * @param {Chunk} chunk
   * @param {number} quality
   * @param {Float32Array | null} latents [n, c, rows, w] where the caller compresses
   * @param {Exchange} exchange
   * @returns {Promise<Coded>}
   */
  async walk(chunk, quality, latents, exchange) {
    const steps = latents && inSteps(latents, this.tables, quality, chunk.rows * chunk.w);
    const planes = new Planes(chunk, this.channels, steps, this.scaleTables, exchange);
    const hyper = await this.#hyperSymbols(chunk, quality, steps, exchange);
    const features = await this.#firstGroup(chunk, hyper, planes);
    for (let group = 1, first = this.groups[0]; group < this.groups.length; first += this.groups[group++]) {
      const size = this.groups[group];
      const shape = [chunk.images, size, chunk.rows, chunk.w];
      const feeds = { ...features, ...planes.known(first) };
      const { table_index, mean } = await this.sessions.run(`group_${group}.onnx`, feeds, predictions(shape));
      planes.code(table_index, mean, first, size, null, group === this.groups.length - 1);
    }
    return planes;
  }

  /**
   * The first group, in one pass or in two.
   *
   * @param {Chunk} chunk
   * @param {Feed} hyper
   * @param {Planes} planes
   * @returns {Promise<Record<string, Feed>>} the features that prior.onnx hands on to the graphs after it
   */
  async #firstGroup(chunk, hyper, planes) {
    const { images, firstRow, rows, w } = chunk;
    const [two, size, last] = [this.facts.passes === 2, this.groups[0], this.groups.length === 1];
    const squares = two ? checkerboard(rows, w, firstRow % 2) : checkerboard(rows, w, null);
    const inside = { data: new Float32Array(images * rows * w).fill(1), dims: [images, 1, rows, w] };
    const asked = squares.length ? squares : Int32Array.of(0); // graphs refuse to answer for no position
    const found = await this.sessions.run(
      "prior.onnx",
      { hyper_symbols: hyper, inside, squares: int64(asked, [asked.length]) },
      { ...predictions([images, size, 1, asked.length]), scale_features: null, mean_features: null },
    );
    const { table_index, mean, ...features } = found;
    const known = planes.code(table_index, mean, 0, size, squares, last && !two);
    if (!two) return features;
    const others = checkerboard(rows, w, 1 - (firstRow % 2));
    const next = others.length
      ? await this.sessions.run(
          "context.onnx",
          {
            ...features,
            ...known,
            place: int64(ranks(squares, rows * w), [rows, w]),
            squares: int64(others, [others.length]),
          },
          predictions([images, size, 1, others.length]),
        )
      : { table_index: { data: new Uint8Array(0), dims: [] }, mean: { data: new Float32Array(0), dims: [] } };
    planes.code(next.table_index, next.mean, 0, size, others, last);
    return features;
  }

  /**
   * @param {Chunk} chunk
   * @param {number} quality
   * @param {Float32Array | null} steps the latents in steps
   * @param {Exchange} exchange
   * @returns {Promise<Feed>}
   */
  async #hyperSymbols({ images, rows, w }, quality, steps, exchange) {
    const { channels, stride } = this.facts;
    const dims = [images, channels, Math.ceil(rows / stride), Math.ceil(w / stride)];
    const tables = spread(this.hyperIndex, quality, images, dims[2] * dims[3]);
    let wanted = null;
    if (steps) {
      const feeds = { latent_steps: { data: steps, dims: [images, this.channels, rows, w] } };
      const { hyper } = await this.sessions.run("hyper_encoder.onnx", feeds, { hyper: { type: "float32", dims } });
      wanted = /** @type {Float32Array} */ (hyper.data);
    }
    const found = exchange({ tables, wanted, most: MAX_HYPER_SYMBOL, last: false });
    // A forged stream may hold larger ones, for which the prior is not exact.
    return {
      data: Float32Array.from(found, (symbol) => Math.max(-MAX_HYPER_SYMBOL, Math.min(MAX_HYPER_SYMBOL, symbol))),
      dims,
    };
  }
}

/**
 * Table of every element [images, channels, area], from row quality - 1 of an index [100, channels].
 *
 * @param {Uint8Array} index
 * @param {number} quality
 * @param {number} images
 * @param {number} area
 */
function spread(index, quality, images, area) {
  const channels = index.length / 100;
  const tables = new Uint8Array(images * channels * area);
  for (let plane = 0; plane < images * channels; plane++) {
    tables.fill(index[(quality - 1) * channels + (plane % channels)], plane * area, (plane + 1) * area);
  }
  return tables;
}

/**
 * For every position its rank among the squares, and their number for positions that are not among them.
 *
 * @param {Int32Array} squares
 * @param {number} area
 */
function ranks(squares, area) {
  const found = new Int32Array(area).fill(squares.length);
  squares.forEach((square, rank) => (found[square] = rank));
  return found;
}

/** @param {Int32Array} values @param {number[]} dims @returns {Feed} */
function int64(values, dims) {
  return { data: BigInt64Array.from(values, BigInt), dims };
}

/**
 * What every graph of the prior gives.
 *
 * @param {number[]} dims
 * @returns {Record<"table_index" | "mean", import("./sessions.js").Expected>}
 */
function predictions(dims) {
  return { table_index: { type: "uint8", dims }, mean: { type: "float32", dims } };
}
