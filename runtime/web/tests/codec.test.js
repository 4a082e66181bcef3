/** What callers meet: pictures in and out, arguments, progress, stopping. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { ArgumentError, BackendError, DeviceError, LimitError, Picture, info, load } from "../src/index.js";
import { codecOf, golden, mostDifference, random, tiny, waves } from "./fixtures.js";

/** RGBA of a picture with alpha that falls from left to right. @param {number} width @param {number} height */
function rgba(width, height) {
  const { pixels } = waves(1, width, height, 3);
  const data = new Uint8ClampedArray(4 * width * height);
  for (let i = 0; i < width * height; i++)
    data.set([pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2], 255 - (i % width)], 4 * i);
  return { data, width, height };
}

test("RGBA comes back near, and its alpha exactly", async () => {
  const codec = await codecOf("photo");
  const image = rgba(70, 45);
  const picture = await codec.decompress(await codec.compress(image, 90));
  assert.ok(picture.alpha);
  const found = picture.rgba();
  assert.deepEqual(
    found.filter((_, i) => i % 4 === 3),
    image.data.filter((_, i) => i % 4 === 3),
  );
  const error = found.reduce((sum, value, i) => sum + (value - image.data[i]) ** 2, 0) / found.length;
  assert.ok(10 * Math.log10(255 ** 2 / error) > 30);
});

test("an opaque image has no alpha section", async () => {
  const codec = await codecOf("tiny-conv");
  const { data, width, height } = rgba(20, 20);
  for (let i = 3; i < data.length; i += 4) data[i] = 255;
  const stream = await codec.compress({ data, width, height });
  assert.deepEqual(info(stream).sectionBytes, {});
  assert.equal((await codec.decompress(stream)).rgba()[3], 255);
});

test("gray RGBA becomes a gray stream, and one channel", async () => {
  const codec = await codecOf("tiny-conv");
  const data = new Uint8ClampedArray(4 * 64).map((_, i) => (i % 4 === 3 ? 255 : i >> 2));
  const stream = await codec.compress({ data, width: 8, height: 8 }, 80);
  assert.equal(info(stream).gray, true);
  const picture = await codec.decompress(stream);
  assert.equal(picture.channels, 1);
  assert.deepEqual(picture.rgba().subarray(0, 3), new Uint8ClampedArray(3).fill(picture.pixels[0]));
});

test("a color image in a gray model is reduced to luma", async () => {
  const codec = await codecOf("tiny-dense");
  const picture = await codec.decompress(await codec.compress(rgba(16, 16), 90));
  assert.equal(picture.channels, 1);
});

test("a packed stream keeps names, alpha, ICC and EXIF", async () => {
  const codec = await codecOf("tiny-hyper");
  const images = [1, 2, 3].map(
    (seed) => new Picture({ ...waves(seed, 30, 21, 3), icc: Uint8Array.of(1, 2), exif: Uint8Array.of(3) }),
  );
  images[1].alpha = new Uint8Array(30 * 21).map((_, i) => i);
  const stream = await codec.compressBatch(images, 80, { names: ["a", "b/c", "d"] });
  const found = await codec.decompressBatch(stream);
  assert.deepEqual(
    found.map(({ name }) => name),
    ["a", "b/c", "d"],
  );
  assert.deepEqual(found[1].alpha, images[1].alpha);
  assert.ok(found[0].alpha?.every((value) => value === 255));
  assert.deepEqual([found[2].icc, found[2].exif], [images[2].icc, images[2].exif]);
  await assert.rejects(codec.decompress(stream), ArgumentError);
});

test("tiles of a large picture leave no seam", async () => {
  const codec = await load(tiny("tiny-hyper"));
  const stream = await codec.compress(new Picture(waves(4, 200, 130, 3)), 70);
  const whole = await codec.decompress(stream);
  codec.bundle.manifest.limits.band_pixels = 64 * 64;
  assert.ok(mostDifference((await codec.decompress(stream)).pixels, whole.pixels) <= 1);
  assert.deepEqual(
    await codec.decompressSymbols(await codec.compress(new Picture(waves(4, 200, 130, 3)), 70)),
    await codec.decompressSymbols(stream),
  );
});

test("a picture in several chunks of rows comes back", async () => {
  const codec = await codecOf("tiny-hyper");
  const [width, height] = [8 * 1024, 8 * 160];
  const pixels = new Uint8Array(3 * width * height).map((_, i) => Math.floor(i / 3 / width) / 5);
  const stream = await codec.compress(new Picture({ pixels, width, height, channels: 3 }), 90);
  assert.equal(info(stream).chunks, 2);
  assert.ok(mostDifference((await codec.decompress(stream)).pixels, pixels) < 40);
});

test("arguments that cannot be used are named", async () => {
  const codec = await codecOf("tiny-conv");
  const image = rgba(8, 8);
  for (const quality of [0, 101, 1.5, NaN]) await assert.rejects(codec.compress(image, quality), ArgumentError);
  await assert.rejects(codec.compress({ ...image, width: 9 }), ArgumentError);
  await assert.rejects(codec.compress({ ...image, width: 0 }), ArgumentError);
  await assert.rejects(codec.compress(/** @type {any} */ (null)), ArgumentError);
  await assert.rejects(codec.decompress(/** @type {any} */ (new ArrayBuffer(40))), ArgumentError);
  await assert.rejects(codec.compress({ ...image, width: 65536 }), LimitError);
  await assert.rejects(codec.compress(image, 50, { maxPixels: 63 }), LimitError);
  await assert.rejects(codec.compressBatch([]), ArgumentError);
  await assert.rejects(codec.compressBatch([image, rgba(9, 8)]), ArgumentError);
  await assert.rejects(codec.compressBatch([image], 50, { names: ["a", "b"] }), ArgumentError);
  await assert.rejects(load(tiny("tiny-conv"), { device: /** @type {any} */ ("cuda") }), ArgumentError);
  await assert.rejects(load(tiny("tiny-conv"), { ort: "file:///nowhere.mjs" }), BackendError);
});

test("WebGPU is refused where there is none, and auto does without", async () => {
  const place = tiny("tiny-conv");
  await assert.rejects(load(place, { device: "webgpu" }), DeviceError);
  const { stream } = await golden(place, "disk");
  assert.equal((await (await load(place, { device: "auto" })).decompress(stream)).width, 27);
});

test("progress rises to 1, and a signal stops a call", async () => {
  const codec = await codecOf("tiny-hyper");
  const picture = new Picture(waves(6, 300, 300, 3));
  /** @type {number[]} */
  const fractions = [];
  const stream = await codec.compress(picture, 50, { onProgress: (fraction) => fractions.push(fraction) });
  assert.equal(fractions.at(-1), 1);
  assert.deepEqual(
    fractions,
    fractions.toSorted((a, b) => a - b),
  );
  const controller = new AbortController();
  const call = codec.decompress(stream, { signal: controller.signal, onProgress: () => controller.abort() });
  await assert.rejects(call, { name: "AbortError" });
  await assert.rejects(codec.decompress(stream, { signal: AbortSignal.abort() }), { name: "AbortError" });
});

test("calls may overlap", async () => {
  const codec = await codecOf("tiny-groups");
  const next = random(9);
  const streams = await Promise.all(
    Array.from({ length: 6 }, () => codec.compress(new Picture(waves(next() * 1e9, 40, 40, 3)), 60)),
  );
  const together = await Promise.all(streams.map((stream) => codec.decompress(stream)));
  for (const [i, stream] of streams.entries())
    assert.deepEqual((await codec.decompress(stream)).pixels, together[i].pixels);
});
