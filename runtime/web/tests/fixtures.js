/** What the tests read: bundles, streams and pictures of the repository, which Python wrote. */
import { readFile, readdir } from "node:fs/promises";
import { inflateSync } from "node:zlib";

import { load } from "../src/index.js";
import { readNpy } from "../src/npy.js";

export const ROOT = new URL("../../../", import.meta.url);
export const TINY = new URL("tests/fixtures/bundles/", ROOT);
export const STREAMS = new URL("tests/fixtures/streams/", ROOT);
export const PHOTO = new URL("runtime/aeedge_runtime/bundles/photo/", ROOT);

export const TINY_NAMES = ["tiny-dense", "tiny-conv", "tiny-vae", "tiny-hyper", "tiny-groups"];
/** @type {[string, URL][]} */
export const BUNDLES = [
  ...TINY_NAMES.map((name) => /** @type {[string, URL]} */ ([name, tiny(name)])),
  ["photo", PHOTO],
];

/** @param {string} name */
export function tiny(name) {
  return new URL(`${name}/`, TINY);
}

/** @type {Map<string, Promise<import("../src/index.js").Codec>>} */
const codecs = new Map();

/** A codec, loaded once. @param {string} name */
export function codecOf(name) {
  const found = codecs.get(name) ?? load(name === "photo" ? PHOTO : tiny(name));
  codecs.set(name, found);
  return found;
}

/** @param {URL} url */
export async function bytesAt(url) {
  return new Uint8Array(await readFile(url));
}

/** Names of a bundle's golden streams. @param {URL} bundle */
export async function goldenNames(bundle) {
  const files = await readdir(new URL("golden/", bundle));
  return files
    .filter((file) => file.endsWith(".aee"))
    .map((file) => file.slice(0, -4))
    .sort();
}

/** @param {URL} bundle @param {string} name */
export async function golden(bundle, name) {
  /** @param {string} ending */
  const read = (ending) => bytesAt(new URL(`golden/${name}${ending}`, bundle));
  return {
    stream: await read(".aee"),
    symbols: /** @type {Int16Array} */ (readNpy(await read(".symbols.npy")).values),
    source: readPng(await read(".png")),
    decoded: readPng(await read(".decoded.png")),
  };
}

/** @typedef {{width: number, height: number, channels: number, pixels: Uint8Array}} Plain */

/**
 * An 8-bit gray or RGB PNG that is not interlaced: all that the fixtures are.
 *
 * @param {Uint8Array} data
 * @returns {Plain}
 */
export function readPng(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const [width, height, depth, type] = [view.getUint32(16), view.getUint32(20), data[24], data[25]];
  if (depth !== 8 || (type !== 0 && type !== 2)) throw new Error(`a PNG of type ${type} and ${depth} bits`);
  const parts = [];
  for (let at = 8; at < data.length; at += 12 + view.getUint32(at)) {
    if (view.getUint32(at + 4) === 0x49444154) parts.push(data.subarray(at + 8, at + 8 + view.getUint32(at)));
  }
  const channels = type === 0 ? 1 : 3;
  return { width, height, channels, pixels: unfilter(inflateSync(Buffer.concat(parts)), width * channels, channels) };
}

/** @param {Uint8Array} rows each with its filter in front @param {number} rowBytes @param {number} channels */
function unfilter(rows, rowBytes, channels) {
  const pixels = new Uint8Array((rows.length / (rowBytes + 1)) * rowBytes);
  for (let i = 0; i < pixels.length; i++) {
    const [row, column] = [Math.floor(i / rowBytes), i % rowBytes];
    const left = column >= channels ? pixels[i - channels] : 0;
    const up = row ? pixels[i - rowBytes] : 0;
    const corner = row && column >= channels ? pixels[i - rowBytes - channels] : 0;
    const filter = rows[row * (rowBytes + 1)];
    pixels[i] =
      rows[row * (rowBytes + 1) + 1 + column] + [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter];
  }
  return pixels;
}

/** @param {number} left @param {number} up @param {number} corner */
function paeth(left, up, corner) {
  const [a, b, c] = [left, up, corner].map((value) => Math.abs(left + up - corner - value));
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

/** The largest difference of two arrays of one length. @param {Uint8Array} a @param {Uint8Array} b */
export function mostDifference(a, b) {
  if (a.length !== b.length) return Infinity;
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i] - b[i]));
  return most;
}

/** Numbers in 0..1, the same for a seed everywhere (mulberry32). @param {number} seed */
export function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let value = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * A picture of smooth waves and some noise.
 *
 * @param {number} seed
 * @param {number} width
 * @param {number} height
 * @param {number} channels
 * @returns {Plain}
 */
export function waves(seed, width, height, channels) {
  const next = random(seed);
  const facts = Array.from({ length: channels }, () => [
    0.02 + 0.2 * next(),
    0.02 + 0.2 * next(),
    6 * next(),
    30 * next(),
  ]);
  const pixels = new Uint8Array(width * height * channels);
  for (let i = 0; i < pixels.length; i++) {
    const [y, x] = [Math.floor(i / channels / width), Math.floor(i / channels) % width];
    const [across, down, start, noise] = facts[i % channels];
    pixels[i] = Math.max(0, Math.min(255, 128 + 90 * Math.sin(across * x + down * y + start) + noise * (next() - 0.5)));
  }
  return { width, height, channels, pixels };
}
