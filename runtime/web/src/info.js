/** What a stream says about itself; needs neither its model nor ONNX Runtime. */
import { ALPHA, BOUND, EXIF, ICC, NAMES, Stream, TILES } from "./container.js";
import { unpackNames } from "./sections.js";
import { TileGrid } from "./tile-grid.js";
import { countTiles } from "./tile-sections.js";

/** @type {Record<number, string>} */
const TITLES = {
  [ALPHA]: "alpha",
  [ICC]: "icc",
  [EXIF]: "exif",
  [NAMES]: "names",
  [TILES]: "stored tiles",
  [BOUND]: "bound",
};

/**
 * Facts of a stream.
 *
 * @typedef {object} StreamInfo
 * @property {string} streamId 16 hexadecimal digits, the latent space it was written in
 * @property {number} quality 1..100
 * @property {number} count images
 * @property {number} width pixels of each
 * @property {number} height pixels of each
 * @property {boolean} gray decoded pictures are gray
 * @property {number} totalBytes
 * @property {number} payloadBytes coded symbols
 * @property {Record<string, number>} sectionBytes of each optional section by name
 * @property {number} chunks independent pieces of the payload
 * @property {number} bitsPerPixel all bits of the stream per pixel of all images
 * @property {number} tiles tiles of all images, 64 pixels square but at the ends
 * @property {number} storedTiles those that are stored exactly, or, under a bound, within it
 * @property {number | null} maxError no sample of color is off by more: what the writer vouches for, 0 where all tiles
 *     are stored exactly; null where there is no bound
 * @property {string[] | null} names relative paths of the images, where the stream keeps them
 */

/**
 * @param {Uint8Array} data
 * @returns {StreamInfo}
 * @throws {import("./errors.js").StreamError} damaged, forged or not a stream.
 */
export function info(data) {
  const stream = new Stream(data);
  const { streamId, quality, count, width, height, gray, totalBytes, payloadBytes, chunks, sections } = stream;
  const grid = new TileGrid(count, height, width);
  const [names, stored, bound] = [sections.get(NAMES), sections.get(TILES), sections.get(BOUND)];
  const storedTiles = stored ? countTiles(stored, grid) : 0;
  return {
    streamId,
    quality,
    count,
    width,
    height,
    gray,
    totalBytes,
    payloadBytes,
    chunks,
    sectionBytes: Object.fromEntries([...sections].map(([id, part]) => [TITLES[id] ?? `section ${id}`, part.length])),
    bitsPerPixel: (8 * totalBytes) / (count * width * height),
    tiles: grid.tiles,
    storedTiles,
    maxError: bound ? bound[0] : storedTiles === grid.tiles ? 0 : null,
    names: names ? unpackNames(names, count) : null,
  };
}
