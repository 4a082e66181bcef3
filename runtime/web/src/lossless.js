/** Lossless blobs (FORMAT.md, Stored tiles): a bare VP8L bit stream, or the zlib data of a PNG. */
import { StreamError, messageOf } from "./errors.js";
import { inflate } from "./inflate.js";
import { decodeVp8l } from "./vp8l.js";

/** First bytes of blobs. */
export const [VP8L, ZLIB] = [0x2f, 0x78];

/**
 * Pixels of a blob [height, width, samples].
 *
 * @param {Uint8Array} blob its header checked
 * @param {number} height
 * @param {number} width
 * @param {number} samples 1 or 3, and one more with alpha
 * @throws {StreamError} damaged or forged.
 */
export function decodeBlob(blob, height, width, samples) {
  try {
    return blob[0] === ZLIB ? decodePng(blob, height, width, samples) : fromArgb(decodeVp8l(blob), samples);
  } catch (error) {
    if (error instanceof RangeError)
      throw new StreamError(
        `stored tiles: a blob that does not decode (${messageOf(error)}); the stream is damaged or forged, get it again`,
      );
    throw error;
  }
}

/** @param {Uint32Array} argb @param {number} samples */
function fromArgb(argb, samples) {
  const shifts = { 1: [8], 2: [8, 24], 3: [16, 8, 0], 4: [16, 8, 0, 24] }[samples] ?? [];
  const pixels = new Uint8Array(argb.length * samples);
  for (let i = 0, to = 0; i < argb.length; i++) {
    for (let sample = 0; sample < samples; sample++) pixels[to++] = argb[i] >>> shifts[sample];
  }
  return pixels;
}

/** @param {Uint8Array} blob @param {number} height @param {number} width @param {number} samples */
function decodePng(blob, height, width, samples) {
  const bytes = width * samples;
  const rows = inflate(blob, height * (1 + bytes));
  if (rows.length !== height * (1 + bytes))
    throw new RangeError(`${rows.length} bytes, expected ${height * (1 + bytes)}`);
  const pixels = new Uint8Array(height * bytes);
  for (let row = 0; row < height; row++) {
    const filter = rows[row * (1 + bytes)];
    if (filter > 4) throw new RangeError(`a row with filter ${filter}, expected 0..4`);
    const above = row ? pixels.subarray((row - 1) * bytes, row * bytes) : new Uint8Array(bytes);
    unfilter(
      filter,
      rows.subarray(row * (1 + bytes) + 1, (row + 1) * (1 + bytes)),
      above,
      pixels.subarray(row * bytes),
      samples,
    );
  }
  return pixels;
}

/**
 * @param {number} filter
 * @param {Uint8Array} filtered
 * @param {Uint8Array} above
 * @param {Uint8Array} into
 * @param {number} samples
 */
function unfilter(filter, filtered, above, into, samples) {
  for (let i = 0; i < filtered.length; i++) {
    const left = i < samples ? 0 : into[i - samples];
    let predicted = 0;
    if (filter === 1) predicted = left;
    else if (filter === 2) predicted = above[i];
    else if (filter === 3) predicted = (left + above[i]) >> 1;
    else if (filter === 4) predicted = paeth(left, above[i], i < samples ? 0 : above[i - samples]);
    into[i] = filtered[i] + predicted;
  }
}

/** @param {number} left @param {number} up @param {number} corner */
function paeth(left, up, corner) {
  const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}
