/** From pictures to a stream: latents, symbols, and the sections beside them. */
import { ALPHA, EXIF, ICC, NAMES, writeStream } from "./container.js";
import { ArgumentError, LimitError } from "./errors.js";
import { Layout } from "./layout.js";
import { MAX_SECTION_BYTES } from "./limits.js";
import { Progress } from "./progress.js";
import { packAlpha, packNames } from "./sections.js";
import { ChunkWriter } from "./symbols.js";

/** @typedef {import("./picture.js").Picture} Picture */
/** @typedef {import("./networks.js").Images} Images */

/**
 * The stream of pictures that have the channels of the model.
 *
 * @param {readonly Picture[]} pictures
 * @param {number} quality
 * @param {import("./decoder.js").Model} model
 * @param {import("./progress.js").CallOptions & {maxPixels: number, names?: readonly string[]}} options
 */
export async function encodePictures(pictures, quality, { bundle, networks, prior }, options) {
  const { count, height, width } = checkTogether(pictures, options.names);
  const layout = new Layout(bundle.geometry, count, height, width, options.maxPixels);
  const sections = await sectionsOf(pictures, options.names);
  const { h, w } = layout;
  const progress = new Progress(2 * count * h * w, options);
  const writer = new ChunkWriter(bundle.tables, prior, quality);
  let latents = new Float32Array(0);
  for (const span of layout.spans()) {
    if (span.firstRow === 0)
      latents = await networks.encode(stacked(pictures, span), (positions) => progress.advance(positions));
    await writer.write(rowsOf(latents, bundle.geometry.channels, h, w, span), span, w);
    await progress.advance(span.images * span.rows * w);
  }
  const gray = bundle.manifest.image.channels === 1 || pictures.every((picture) => picture.gray);
  const header = { streamId: bundle.streamId, quality, count, width, height, gray };
  return writeStream(header, sections, writer.chunks, writer.symbolHash);
}

/**
 * @param {readonly Picture[]} pictures
 * @param {readonly string[]} [names]
 */
function checkTogether(pictures, names) {
  if (!pictures.length) throw new ArgumentError("images: found none, expected at least one");
  const { height, width } = pictures[0];
  const other = pictures.find((picture) => picture.height !== height || picture.width !== width);
  if (other) {
    throw new ArgumentError(
      `images: one is ${other.width}x${other.height}, the first is ${width}x${height}; one stream holds images of one size`,
    );
  }
  if (names && names.length !== pictures.length)
    throw new ArgumentError(`names: found ${names.length}, expected one for each of ${pictures.length} images`);
  return { count: pictures.length, height, width };
}

/**
 * @param {readonly Picture[]} pictures
 * @param {readonly string[]} [names]
 */
async function sectionsOf(pictures, names) {
  /** @type {Map<number, Uint8Array>} */
  const sections = new Map();
  if (pictures.some(({ alpha }) => alpha))
    sections.set(ALPHA, await packAlpha(alphaOf(pictures), pictures[0].height, pictures[0].width));
  const [{ icc, exif }] = pictures;
  if (icc?.length && pictures.every((picture) => same(picture.icc, icc))) sections.set(ICC, icc);
  if (exif?.length && pictures.every((picture) => same(picture.exif, exif))) sections.set(EXIF, exif);
  if (names) sections.set(NAMES, await packNames(names));
  for (const [id, data] of sections) {
    if (data.length > MAX_SECTION_BYTES)
      throw new LimitError(
        `section ${id} takes ${data.length} bytes, a stream holds at most ${MAX_SECTION_BYTES}; leave it out`,
      );
  }
  return sections;
}

/** Alpha planes of all pictures, opaque for those without. @param {readonly Picture[]} pictures */
function alphaOf(pictures) {
  const size = pictures[0].height * pictures[0].width;
  const planes = new Uint8Array(pictures.length * size).fill(255);
  pictures.forEach(({ alpha }, i) => alpha && planes.set(alpha, i * size));
  return planes;
}

/** @param {Uint8Array | null} a @param {Uint8Array} b */
function same(a, b) {
  return a?.length === b.length && a.every((byte, i) => byte === b[i]);
}

/**
 * Images of a chunk as the networks take them.
 *
 * @param {readonly Picture[]} pictures
 * @param {import("./layout.js").Span} span
 * @returns {Images}
 */
function stacked(pictures, { firstImage, images }) {
  const { height, width, channels } = pictures[0];
  const size = height * width * channels;
  if (images === 1) return { pixels: pictures[firstImage].pixels, count: 1, height, width, channels };
  const pixels = new Uint8Array(images * size);
  for (let i = 0; i < images; i++) pixels.set(pictures[firstImage + i].pixels, i * size);
  return { pixels, count: images, height, width, channels };
}

/**
 * Latents of a chunk out of those of its image; all of them where the chunk holds whole images.
 *
 * @param {Float32Array} latents [images, c, h, w]
 * @param {number} c
 * @param {number} h
 * @param {number} w
 * @param {import("./layout.js").Span} span
 */
function rowsOf(latents, c, h, w, { firstRow, rows }) {
  if (rows === h) return latents;
  const part = new Float32Array(c * rows * w);
  for (let channel = 0; channel < c; channel++) {
    const from = (channel * h + firstRow) * w;
    part.set(latents.subarray(from, from + rows * w), channel * rows * w);
  }
  return part;
}
