/** Puts stored tiles, and the residual that bounds the error, into decoded images: a blob at a time. */
import { decodeBlob } from "./lossless.js";

/** @typedef {import("./networks.js").Images} Images */
/** @typedef {import("./tile-sections.js").TileBlobs} TileBlobs */

/**
 * Pixels of one row of tiles that are held: `samples` of a blob from `from` on, which belong to pixel `to` and on.
 *
 * @typedef {{samples: Uint8Array, from: number, to: number, length: number}} Strip
 */

/**
 * Replace the pixels of stored tiles.
 *
 * @param {TileBlobs} tiles
 * @param {Images} images
 * @param {Uint8Array | null} alpha [count, height, width], filled in where the blobs hold it
 */
export function pasteTiles(tiles, { pixels, channels }, alpha) {
  const each = channels + Number(tiles.alpha);
  for (const { samples, from, to, length } of strips(tiles, each)) {
    if (each === channels) {
      pixels.set(samples.subarray(from * each, (from + length) * each), to * channels);
      continue;
    }
    for (let i = 0; i < length; i++) {
      for (let channel = 0; channel < channels; channel++)
        pixels[(to + i) * channels + channel] = samples[(from + i) * each + channel];
      if (alpha) alpha[to + i] = samples[(from + i) * each + channels];
    }
  }
}

/**
 * Add the residual.
 *
 * @param {TileBlobs} residual
 * @param {number} step
 * @param {Images} images
 */
export function addResidual(residual, step, { pixels, channels }) {
  for (const { samples, from, to, length } of strips(residual, channels)) {
    for (let i = 0; i < length * channels; i++) {
      const signed = (samples[from * channels + i] << 24) >> 24;
      pixels[to * channels + i] = Math.max(0, Math.min(255, pixels[to * channels + i] + step * signed));
    }
  }
}

/**
 * @param {TileBlobs} tiles
 * @param {number} each samples of a pixel
 * @returns {Generator<Strip, void>}
 */
function* strips({ grid, held, boxes, blobs }, each) {
  for (const [i, box] of boxes.entries()) {
    const place = grid.pixels(box);
    const samples = decodeBlob(blobs[i], place.rows, place.columns, each);
    for (let row = box.row; row < box.row + box.rows; row++) {
      for (let column = box.column; column < box.column + box.columns; column++) {
        if (!held[row * grid.columns + column]) continue;
        const tile = grid.pixels({ row, column, rows: 1, columns: 1 });
        for (let y = tile.row; y < tile.row + tile.rows; y++) {
          const from = (y - place.row) * place.columns + tile.column - place.column;
          yield { samples, from, to: y * grid.width + tile.column, length: tile.columns };
        }
      }
    }
  }
}
