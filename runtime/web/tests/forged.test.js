/** Streams that are cut short, damaged, or lie: refused by name, within bounds of time and memory. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { AeedgeError, LimitError, StreamError, WrongModelError, info } from "../src/index.js";
import { codecOf, golden, random, tiny } from "./fixtures.js";
import { seal, sealed } from "./forged.js";

test("a stream cut short at any length is a StreamError", async () => {
  const codec = await codecOf("tiny-hyper");
  const { stream } = await golden(tiny("tiny-hyper"), "disk-fine");
  for (let length = 0; length < stream.length; length++) {
    assert.throws(() => info(stream.subarray(0, length)), StreamError);
    await assert.rejects(codec.decompress(stream.subarray(0, length)), StreamError);
  }
});

test("a stream cut short with a right checksum is a StreamError", async () => {
  const codec = await codecOf("tiny-hyper");
  const { stream } = await golden(tiny("tiny-hyper"), "disk-fine");
  for (let length = 8; length < stream.length; length++) {
    await assert.rejects(codec.decompressSymbols(sealed(stream.slice(0, length))), StreamError, String(length));
  }
});

test("any flipped bit is a StreamError", async () => {
  const { stream } = await golden(tiny("tiny-conv"), "disk");
  for (let bit = 0; bit < 8 * stream.length; bit++) {
    const damaged = stream.slice();
    damaged[bit >> 3] ^= 1 << (bit & 7);
    assert.throws(() => info(damaged), StreamError);
  }
});

test("bytes that were changed before they were sealed give an error of ours or pictures, and nothing else", async () => {
  const next = random(5);
  for (const name of ["tiny-dense", "tiny-conv", "tiny-hyper", "tiny-groups"]) {
    const codec = await codecOf(name);
    const { stream } = await golden(tiny(name), "disk-fine");
    for (let trial = 0; trial < 150; trial++) {
      const forged = stream.slice();
      for (let change = 0; change < 1 + 3 * next(); change++)
        forged[18 + Math.floor(next() * (stream.length - 22))] = 256 * next();
      await codec
        .decompressBatch(sealed(forged))
        .catch((error) => assert.ok(error instanceof AeedgeError, String(error)));
    }
  }
});

test("another model's stream is a WrongModelError", async () => {
  const { stream } = await golden(tiny("tiny-conv"), "disk");
  await assert.rejects((await codecOf("tiny-dense")).decompress(stream), WrongModelError);
});

test("forged counts cost neither time nor memory", async () => {
  const codec = await codecOf("tiny-conv");
  const { streamId } = codec.bundle;
  const forged = [
    { count: 2 ** 24, width: 65535, height: 65535 },
    { count: 2 ** 24, chunks: 2 ** 20 },
    { chunks: 2 ** 35 - 1 },
    { count: 1000, width: 512, height: 512, chunks: 1000 },
    { width: 65535, height: 2730, chunks: 1 },
    { table: /** @type {[number, number][]} */ ([[1, 2 ** 24]]) },
  ];
  const before = process.memoryUsage().rss;
  const start = performance.now();
  for (const fields of forged) await assert.rejects(codec.decompressBatch(seal({ streamId, ...fields })), AeedgeError);
  assert.ok(performance.now() - start < 2000);
  assert.ok(process.memoryUsage().rss - before < 100 * 2 ** 20);
});

test("a limit is the caller's to choose", async () => {
  const codec = await codecOf("tiny-conv");
  const { stream } = await golden(tiny("tiny-conv"), "disk");
  await assert.rejects(codec.decompress(stream, { maxPixels: 24 * 32 - 1 }), LimitError);
  assert.equal((await codec.decompress(stream, { maxPixels: 24 * 32 })).width, 27);
});

test("rows too wide for a chunk are a LimitError", async () => {
  const codec = await codecOf("photo");
  const wide = seal({
    streamId: codec.bundle.streamId,
    width: 65535,
    height: 2000,
    chunks: 9,
    lengths: new Array(8).fill(0),
  });
  await assert.rejects(codec.decompress(wide, { maxPixels: 2 ** 31 }), AeedgeError);
});
