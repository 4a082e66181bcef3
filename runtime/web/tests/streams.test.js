/** tests/fixtures/streams: a stream for each rule of FORMAT.md. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { crc32 } from "../src/checksums.js";
import { info, LimitError, StreamError, UnsupportedStreamError } from "../src/index.js";
import { STREAMS, bytesAt, codecOf } from "./fixtures.js";

/** @type {Record<string, {bundle: string, symbols?: number, symbols_crc32?: number}>} */
const FACTS = JSON.parse(new TextDecoder().decode(await bytesAt(new URL("streams.json", STREAMS))));

/** @param {string} kind */
function filesOf(kind) {
  return Object.keys(FACTS).filter((name) => name.startsWith(`${kind}-`));
}

/** @param {string} name */
async function opened(name) {
  return { codec: await codecOf(FACTS[name].bundle), data: await bytesAt(new URL(name, STREAMS)) };
}

test("every kind is there", () => {
  assert.ok(filesOf("good").length >= 12 && filesOf("bad").length >= 60 && filesOf("unsupported").length >= 11);
});

for (const name of filesOf("good")) {
  test(name, async () => {
    const { codec, data } = await opened(name);
    const symbols = await codec.decompressSymbols(data);
    assert.equal(symbols.length, FACTS[name].symbols);
    assert.equal(crc32(new Uint8Array(symbols.buffer)), FACTS[name].symbols_crc32);
    const { count, width, height } = info(data);
    const pictures = await codec.decompressBatch(data);
    assert.equal(pictures.length, count);
    assert.deepEqual([pictures[0].width, pictures[0].height], [width, height]);
  });
}

for (const name of filesOf("bad")) {
  test(name, async () => {
    const { codec, data } = await opened(name);
    await assert.rejects(
      codec.decompressBatch(data),
      (error) => error instanceof StreamError && !(error instanceof UnsupportedStreamError),
    );
  });
}

for (const name of filesOf("unsupported")) {
  test(name, async () => {
    const { codec, data } = await opened(name);
    await assert.rejects(codec.decompressBatch(data), UnsupportedStreamError);
    if (name !== "unsupported-tiles-kind-of-blob.aee") assert.throws(() => info(data), UnsupportedStreamError); // facts do not need blobs
  });
}

for (const name of filesOf("limit")) {
  test(name, async () => {
    const { codec, data } = await opened(name);
    await assert.rejects(codec.decompressBatch(data), LimitError);
    assert.ok(info(data).count);
  });
}

test("facts of stored tiles and of a bound", async () => {
  /** @param {string} name */
  const facts = async (name) => {
    const { tiles, storedTiles, maxError } = info(await bytesAt(new URL(name, STREAMS)));
    return /** @type {[number, number, number | null]} */ ([tiles, storedTiles, maxError]);
  };
  assert.deepEqual(await facts("good-one-pixel.aee"), [1, 0, null]);
  const [tiles, stored, none] = await facts("good-some-tiles.aee");
  assert.ok(stored > 0 && stored < tiles && none === null);
  const [all, whole, exact] = await facts("good-all-tiles.aee");
  assert.deepEqual([whole, exact], [all, 0]);
  assert.ok(Number((await facts("good-bound-with-residual.aee"))[2]) > 0);
});

test("sections of a good stream", async () => {
  const { codec, data } = await opened("good-every-section.aee");
  assert.deepEqual(Object.keys(info(data).sectionBytes), ["alpha", "icc", "exif", "names"]);
  assert.deepEqual(info(data).names, ["a.png", "deep/b.png", "c\udcff.png"]);
  const [picture] = await codec.decompressBatch(data);
  assert.equal(picture.alpha?.length, picture.width * picture.height);
  assert.equal(picture.name, "a.png");
  assert.ok(picture.icc?.length && picture.exif?.length);
});
