/**
 * Stored tiles and the bound on the error (FORMAT.md, sections 5 and 6). All that a blob says of its size is checked
 * here, before one is decoded.
 */
import { Cursor } from "./bytes.js";
import { StreamError, UnsupportedStreamError, messageOf } from "./errors.js";
import { ZLIB, VP8L } from "./lossless.js";
import { readVp8lHeader } from "./vp8l.js";

const MAX_STEP = 511;
const FLAG_ALPHA = 1;
const DAMAGED = "the stream is damaged or forged, get it again";

/** @typedef {import("./tile-grid.js").TileGrid} TileGrid */
/** @typedef {import("./tiles.js").Rectangle} Rectangle */

/**
 * Some tiles of a grid, and the blobs that hold their pixels.
 *
 * @typedef {object} TileBlobs
 * @property {TileGrid} grid
 * @property {Uint8Array} held 1 for every tile that is held
 * @property {Rectangle[]} boxes in tiles
 * @property {Uint8Array[]} blobs one for each box
 * @property {boolean} alpha whether the blobs hold alpha, too
 * @property {boolean} whole whether every tile is held
 */

/** @typedef {{error: number, step: number, residual: TileBlobs | null}} Bound */

/**
 * @param {Uint8Array} data section 5 of a stream whose size is within the limits
 * @param {TileGrid} grid
 * @returns {TileBlobs}
 */
export function unpackTiles(data, grid) {
  const alpha = hasAlpha(data);
  const tiles = unpack(new Cursor(data, 1, data.length), grid, alpha, "stored tiles");
  if (alpha && !tiles.whole) {
    throw new StreamError(`stored tiles: alpha in the blobs of only some tiles; ${DAMAGED}`);
  }
  return tiles;
}

/**
 * How many tiles section 5 stores, of a stream of any size: no map of them is made.
 *
 * @param {Uint8Array} data
 * @param {TileGrid} grid
 */
export function countTiles(data, grid) {
  hasAlpha(data);
  const runs = readRuns(new Cursor(data, 1, data.length), grid, "stored tiles");
  return runs.reduce((sum, run, i) => (i % 2 ? sum + run : sum), 0);
}

/**
 * @param {Uint8Array} data section 6
 * @param {TileGrid} grid
 * @param {TileBlobs | null} stored
 * @returns {Bound}
 */
export function unpackBound(data, grid, stored) {
  const cursor = new Cursor(data, 0, data.length);
  const error = cursor.byte("bound");
  if (!cursor.left()) return { error, step: 0, residual: null };
  const step = cursor.varint("step of the residual");
  if (step < 1 || step > MAX_STEP)
    throw new StreamError(`bound: a residual in steps of ${step}, expected 1..${MAX_STEP}; ${DAMAGED}`);
  const residual = unpack(cursor, grid, false, "residual");
  if (stored?.held.some((held, tile) => held && residual.held[tile]))
    throw new StreamError(`bound: a stored tile with a residual; ${DAMAGED}`);
  return { error, step, residual };
}

/**
 * @param {Cursor} cursor
 * @param {TileGrid} grid
 * @param {boolean} alpha
 * @param {string} what
 * @returns {TileBlobs}
 */
function unpack(cursor, grid, alpha, what) {
  const held = marked(readRuns(cursor, grid, what), grid);
  const boxes = [...grid.boxes(held)];
  const lengths = boxes.slice(1).map(() => cursor.varint("length of a blob"));
  lengths.push(cursor.left() - lengths.reduce((sum, length) => sum + length, 0));
  if (lengths.some((length) => length < 1))
    throw new StreamError(`${what}: a blob without bytes, expected at least 1; ${DAMAGED}`);
  const blobs = lengths.map((length) => cursor.take(length, "blob"));
  blobs.forEach((blob, i) => checkBlob(blob, grid.pixels(boxes[i]), alpha, what));
  return { grid, held, boxes, blobs, alpha, whole: held.every(Boolean) };
}

/** @param {Uint8Array} data section 5 */
function hasAlpha([flags]) {
  if (flags & ~FLAG_ALPHA) {
    throw new UnsupportedStreamError(`stored tiles with unknown flags 0x${flags.toString(16)}; update aeedge`);
  }
  return flags === FLAG_ALPHA;
}

/**
 * Lengths of runs of tiles, alternately not held and held.
 *
 * @param {Cursor} cursor
 * @param {TileGrid} grid
 * @param {string} what
 */
function readRuns(cursor, grid, what) {
  const runs = [];
  for (let left = grid.tiles; left;) {
    const run = cursor.varint("run of tiles");
    if (run > left || (!run && runs.length)) {
      throw new StreamError(`${what}: a run of ${run} tiles, expected 1..${left}; ${DAMAGED}`);
    }
    runs.push(run);
    left -= run;
  }
  if (runs.length < 2) throw new StreamError(`${what}: of ${grid.tiles} tiles none is held; ${DAMAGED}`);
  return runs;
}

/**
 * 1 for every tile that is held.
 *
 * @param {readonly number[]} runs
 * @param {TileGrid} grid
 */
function marked(runs, grid) {
  const held = new Uint8Array(grid.tiles);
  runs.reduce((tile, run, i) => {
    if (i % 2) held.fill(1, tile, tile + run);
    return tile + run;
  }, 0);
  return held;
}

/**
 * Refuse a blob that claims to be something else; zlib data claim nothing, and are unpacked within bounds.
 *
 * @param {Uint8Array} blob
 * @param {Rectangle} expected in pixels
 * @param {boolean} alpha
 * @param {string} what
 */
function checkBlob(blob, expected, alpha, what) {
  if (blob[0] === ZLIB) return;
  if (blob[0] !== VP8L)
    throw new UnsupportedStreamError(`${what}: a blob of the unknown kind 0x${blob[0].toString(16)}; update aeedge`);
  const { width, height, ...found } = headerOf(blob, what);
  if (width !== expected.columns || height !== expected.rows) {
    throw new StreamError(
      `${what}: a VP8L blob of ${width}x${height}, expected ${expected.columns}x${expected.rows}; ${DAMAGED}`,
    );
  }
  if (found.alpha !== Number(alpha) || found.version) {
    throw new StreamError(
      `${what}: a VP8L blob of alpha ${found.alpha} and version ${found.version}, expected ${Number(alpha)} and 0; ${DAMAGED}`,
    );
  }
}

/** @param {Uint8Array} blob @param {string} what */
function headerOf(blob, what) {
  try {
    return readVp8lHeader(blob);
  } catch (error) {
    throw new StreamError(`${what}: a VP8L blob that is ${messageOf(error)}; ${DAMAGED}`);
  }
}
