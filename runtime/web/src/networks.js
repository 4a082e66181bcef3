/** Encoder and decoder at work: padding, patches, and tiles of large images. */
import { batches } from "./tiles.js";

/** @typedef {import("./tiles.js").Region} Region */

/**
 * Images of one size, uint8 [count, height, width, channels].
 *
 * @typedef {object} Images
 * @property {Uint8Array} pixels
 * @property {number} count
 * @property {number} height
 * @property {number} width
 * @property {number} channels
 */

/**
 * Called after every run with the latent positions that it was for; may wait, and may throw to stop.
 *
 * @callback Advance
 * @param {number} positions
 * @returns {Promise<void>}
 */

export class Networks {
  /**
   * @param {import("./manifest.js").Manifest} manifest
   * @param {import("./sessions.js").Sessions} sessions
   */
  constructor(manifest, sessions) {
    this.manifest = manifest;
    this.sessions = sessions;
  }

  /**
   * Latents [count, c, h, w] of images; they are padded by repeating the last row and column.
   *
   * @param {Images} images
   * @param {Advance} advance
   */
  async encode(images, advance) {
    const { stride } = this.manifest.image;
    const c = this.manifest.latent.channels;
    const [h, w] = [Math.ceil(images.height / stride[0]), Math.ceil(images.width / stride[1])];
    const latents = new Float32Array(images.count * c * h * w);
    for (const regions of batches(this.manifest, images.count, h, w)) {
      const { rows, columns } = regions[0].outer;
      const [height, width] = [rows * stride[0], columns * stride[1]];
      const data = new Uint8Array(regions.length * height * width * images.channels);
      regions.forEach((region, i) =>
        cutPixels(images, region, stride, data.subarray(i * height * width * images.channels)),
      );
      const feeds = { image: { data, dims: [regions.length, height, width, images.channels] } };
      const { latent } = await this.sessions.run("encoder.onnx", feeds, {
        latent: { type: "float32", dims: [regions.length, c, rows, columns] },
      });
      regions.forEach((region, i) =>
        putLatents(/** @type {Float32Array} */ (latent.data), i, region, c, latents, h, w),
      );
      await advance(positions(regions));
    }
    return latents;
  }

  /**
   * Fill in images, cropped, from their latents [count, c, h, w].
   *
   * @param {Float32Array} latents
   * @param {Images} images
   * @param {Advance} advance
   */
  async decode(latents, images, advance) {
    const { stride } = this.manifest.image;
    const c = this.manifest.latent.channels;
    const [h, w] = [Math.ceil(images.height / stride[0]), Math.ceil(images.width / stride[1])];
    for (const regions of batches(this.manifest, images.count, h, w)) {
      const { rows, columns } = regions[0].outer;
      const data = new Float32Array(regions.length * c * rows * columns);
      regions.forEach((region, i) => cutLatents(latents, h, w, c, region, data.subarray(i * c * rows * columns)));
      const feeds = { latent: { data, dims: [regions.length, c, rows, columns] } };
      const dims = [regions.length, rows * stride[0], columns * stride[1], images.channels];
      const { image } = await this.sessions.run("decoder.onnx", feeds, { image: { type: "uint8", dims } });
      regions.forEach((region, i) => putPixels(/** @type {Uint8Array} */ (image.data), i, region, stride, images));
      await advance(positions(regions));
    }
  }
}

/** @param {readonly Region[]} regions */
function positions(regions) {
  return regions.length * regions[0].inner.rows * regions[0].inner.columns;
}

/**
 * Pixels of a region; beyond the last row or column of the image, that one again.
 *
 * @param {Images} images
 * @param {Region} region
 * @param {readonly [number, number]} stride
 * @param {Uint8Array} into
 */
function cutPixels({ pixels, height, width, channels }, { image, outer }, stride, into) {
  const [top, left] = [outer.row * stride[0], outer.column * stride[1]];
  const rowBytes = outer.columns * stride[1] * channels;
  const inside = Math.min(rowBytes, (width - left) * channels);
  for (let y = 0; y < outer.rows * stride[0]; y++) {
    const from = ((image * height + Math.min(top + y, height - 1)) * width + left) * channels;
    const to = y * rowBytes;
    into.set(pixels.subarray(from, from + inside), to);
    for (let x = inside; x < rowBytes; x++) into[to + x] = into[to + x - channels];
  }
}

/**
 * @param {Float32Array} made [n, c, outer rows, outer columns]
 * @param {number} i
 * @param {Region} region
 * @param {number} c
 * @param {Float32Array} latents [count, c, h, w]
 * @param {number} h
 * @param {number} w
 */
function putLatents(made, i, { image, outer, inner }, c, latents, h, w) {
  for (let channel = 0; channel < c; channel++) {
    for (let row = inner.row; row < inner.row + inner.rows; row++) {
      const from = ((i * c + channel) * outer.rows + row - outer.row) * outer.columns + inner.column - outer.column;
      latents.set(made.subarray(from, from + inner.columns), ((image * c + channel) * h + row) * w + inner.column);
    }
  }
}

/**
 * @param {Float32Array} latents [count, c, h, w]
 * @param {number} h
 * @param {number} w
 * @param {number} c
 * @param {Region} region
 * @param {Float32Array} into
 */
function cutLatents(latents, h, w, c, { image, outer }, into) {
  for (let channel = 0, to = 0; channel < c; channel++) {
    for (let row = outer.row; row < outer.row + outer.rows; row++, to += outer.columns) {
      const from = ((image * c + channel) * h + row) * w + outer.column;
      if (outer.columns === 1) into[to] = latents[from];
      else into.set(latents.subarray(from, from + outer.columns), to);
    }
  }
}

/**
 * @param {Uint8Array} made [n, outer pixel rows, outer pixel columns, channels]
 * @param {number} i
 * @param {Region} region
 * @param {readonly [number, number]} stride
 * @param {Images} images
 */
function putPixels(made, i, { image, outer, inner }, stride, { pixels, height, width, channels }) {
  const [top, left] = [inner.row * stride[0], inner.column * stride[1]];
  const bottom = Math.min(top + inner.rows * stride[0], height);
  const bytes = Math.min(inner.columns * stride[1], width - left) * channels;
  const outerWidth = outer.columns * stride[1];
  for (let y = top; y < bottom; y++) {
    const row = i * outer.rows * stride[0] + y - outer.row * stride[0];
    const from = (row * outerWidth + left - outer.column * stride[1]) * channels;
    pixels.set(made.subarray(from, from + bytes), ((image * height + y) * width + left) * channels);
  }
}
