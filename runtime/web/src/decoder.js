/** From a stream to pictures: symbols, latents, the decoder's pixels, and what is stored beside them. */
import { ALPHA, EXIF, ICC } from "./container.js";
import { Picture, toGray } from "./picture.js";
import { Progress } from "./progress.js";
import { restoreLatents } from "./quantizer.js";
import { unpackAlpha } from "./sections.js";
import { readChunks } from "./symbols.js";
import { addResidual, pasteTiles } from "./tile-paste.js";

/** @typedef {import("./networks.js").Images} Images */
/** @typedef {import("./open-stream.js").OpenStream} OpenStream */
/** @typedef {import("./layout.js").Span} Span */

/** Share of a decode that the symbols take; the networks take the rest. */
const SYMBOLS_SHARE = 0.25;

/**
 * @typedef {object} Model
 * @property {import("./bundle.js").Bundle} bundle
 * @property {import("./networks.js").Networks} networks
 * @property {import("./symbols.js").Prior} prior
 */

/**
 * All pictures of a stream.
 *
 * @param {OpenStream} opened
 * @param {Model} model
 * @param {import("./progress.js").CallOptions} options
 */
export async function decodePictures(opened, model, options) {
  const { stream, tiles, bound, names } = opened;
  const { count, height, width, sections } = stream;
  const channels = stream.gray ? 1 : model.bundle.manifest.image.channels;
  const size = height * width;
  const section = sections.get(ALPHA);
  const alpha = section
    ? unpackAlpha(section, count, height, width)
    : tiles?.alpha
      ? new Uint8Array(count * size)
      : null;
  const images = { pixels: new Uint8Array(count * size * channels), count, height, width, channels };
  if (opened.hasSymbols)
    await decodeImages(opened, model, images, new Progress(count * opened.layout.h * opened.layout.w, options));
  if (bound?.residual) addResidual(bound.residual, bound.step, images);
  if (tiles) pasteTiles(tiles, images, alpha);
  return Array.from(
    { length: count },
    (_, i) =>
      new Picture({
        pixels: images.pixels.subarray(i * size * channels, (i + 1) * size * channels),
        width,
        height,
        channels,
        alpha: alpha && alpha.subarray(i * size, (i + 1) * size),
        icc: sections.get(ICC),
        exif: sections.get(EXIF),
        name: names?.[i],
      }),
  );
}

/**
 * Fill in what the networks decode.
 *
 * @param {OpenStream} opened
 * @param {Model} model
 * @param {Images} into with one channel if the stream is gray
 * @param {Progress} progress
 */
async function decodeImages({ stream, layout }, { bundle, networks, prior }, into, progress) {
  const { h, w } = layout;
  const { channels } = bundle.manifest.image;
  const c = bundle.geometry.channels;
  const size = into.height * into.width;
  let latents = new Float32Array(0);
  for await (const { span, symbols, means } of readChunks(stream, layout, bundle.tables, prior)) {
    await progress.advance(SYMBOLS_SHARE * span.images * span.rows * w);
    const part = restoreLatents(symbols, means, bundle.tables, stream.quality, span.rows * w);
    if (span.firstRow === 0) latents = span.rows === h ? part : new Float32Array(c * h * w);
    putRows(part, c, latents, h, w, span);
    if (span.firstRow + span.rows < h) continue;
    const images = { ...into, pixels: new Uint8Array(span.images * size * channels), count: span.images, channels };
    await networks.decode(latents, images, (positions) => progress.advance((1 - SYMBOLS_SHARE) * positions));
    into.pixels.set(
      into.channels === channels ? images.pixels : toGray(images.pixels),
      span.firstImage * size * into.channels,
    );
  }
}

/**
 * Put the latents of a chunk among those of its image.
 *
 * @param {Float32Array} part [c, rows, w], or the latents themselves
 * @param {number} c
 * @param {Float32Array} latents [c, h, w]
 * @param {number} h
 * @param {number} w
 * @param {Span} span
 */
function putRows(part, c, latents, h, w, { firstRow, rows }) {
  if (part === latents) return;
  for (let channel = 0; channel < c; channel++) {
    latents.set(part.subarray(channel * rows * w, (channel + 1) * rows * w), (channel * h + firstRow) * w);
  }
}
