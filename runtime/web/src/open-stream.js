/** A stream with its model at hand: everything that is checked before the first symbol is decoded. */
import { ALPHA, BOUND, NAMES, Stream, TILES } from "./container.js";
import { StreamError, WrongModelError } from "./errors.js";
import { Layout } from "./layout.js";
import { unpackNames } from "./sections.js";
import { TileGrid } from "./tile-grid.js";
import { unpackBound, unpackTiles } from "./tile-sections.js";

/** @typedef {import("./tile-sections.js").TileBlobs} TileBlobs */
/** @typedef {import("./tile-sections.js").Bound} Bound */

export class OpenStream {
  /**
   * @param {Uint8Array} data
   * @param {import("./bundle.js").Bundle} bundle
   * @param {number} maxPixels most pixels, padding included
   * @throws {StreamError} damaged, forged or not a stream.
   * @throws {WrongModelError} written with another model.
   * @throws {import("./errors.js").LimitError} too many pixels.
   */
  constructor(data, bundle, maxPixels) {
    const stream = new Stream(data);
    if (stream.streamId !== bundle.streamId) {
      throw new WrongModelError(
        `the stream needs the model with stream id ${stream.streamId}, ${bundle} has ${bundle.streamId}; load the bundle that wrote it`,
      );
    }
    const { count, height, width, sections } = stream;
    this.stream = stream;
    this.layout = new Layout(bundle.geometry, count, height, width, maxPixels);
    const grid = new TileGrid(count, height, width);
    const [tiles, bound, names] = [sections.get(TILES), sections.get(BOUND), sections.get(NAMES)];
    /** @type {TileBlobs | null} */
    this.tiles = tiles ? unpackTiles(tiles, grid) : null;
    if (this.tiles?.alpha && sections.has(ALPHA))
      throw new StreamError("stream: alpha both in section 1 and in stored tiles; the stream is damaged");
    /** @type {Bound | null} */
    this.bound = bound ? unpackBound(bound, grid, this.tiles) : null;
    this.#checkChunks();
    this.names = names ? unpackNames(names, count) : null;
  }

  /** Whether anything is left for the networks: not where every tile is stored. */
  get hasSymbols() {
    return !this.tiles?.whole;
  }

  #checkChunks() {
    const { chunks, payloadBytes, symbolHash } = this.stream;
    const expected = this.hasSymbols ? this.layout.chunks : 1;
    if (chunks !== expected)
      throw new StreamError(
        `stream: ${chunks} chunks, expected ${expected} for these sizes; the stream is damaged, get it again`,
      );
    if (!this.hasSymbols && (payloadBytes || symbolHash)) {
      throw new StreamError(
        "stream: symbols where every tile is stored, expected none; the stream is damaged, get it again",
      );
    }
  }
}
