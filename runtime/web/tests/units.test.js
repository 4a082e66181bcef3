/** Small parts by themselves. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { Bank } from "../src/bank.js";
import { ChunkDecoder, encodeChunk } from "../src/chunk.js";
import { crc16, crc32, sha256 } from "../src/checksums.js";
import * as face from "../src/index.js";
import { errorOfName } from "../src/errors.js";
import { tablesHash } from "../src/identity.js";
import { canonical, parseStrictly } from "../src/json.js";
import { Layout } from "../src/layout.js";
import { decodeBlob } from "../src/lossless.js";
import { rint } from "../src/quantizer.js";
import { packNames, unpackNames } from "../src/sections.js";
import { batches } from "../src/tiles.js";
import { ROOT, random } from "./fixtures.js";

test("the public face", () => {
  const names = Object.keys(face).filter((name) => !name.endsWith("Error"));
  assert.deepEqual(names.sort(), [
    "Codec",
    "DEFAULT_QUALITY",
    "Picture",
    "RemoteCodec",
    "info",
    "load",
    "loadInWorker",
  ]);
});

test("the version is that of the Python package", async () => {
  const { version } = JSON.parse(await readFile(new URL("../package.json", import.meta.url), "utf-8"));
  const python = await readFile(new URL("runtime/aeedge_runtime/_version.py", ROOT), "utf-8");
  assert.equal(version, /__version__ = "(.*)"/.exec(python)?.[1]);
});

test("errors have Python's names, also after a worker's boundary", async () => {
  const python = await readFile(new URL("runtime/aeedge_runtime/errors.py", ROOT), "utf-8");
  for (const name of Object.keys(face).filter((key) => key.endsWith("Error"))) {
    assert.match(python, new RegExp(`^class ${name}\\(`, "m"));
    assert.equal(errorOfName(name, "x").name, name);
  }
  assert.ok(errorOfName("UnsupportedStreamError", "x") instanceof face.StreamError);
});

test("checksums have their published check values", async () => {
  const digits = new TextEncoder().encode("123456789");
  assert.equal(crc32(digits), 0xcbf43926);
  assert.equal(crc32(digits.subarray(4), crc32(digits.subarray(0, 4))), 0xcbf43926);
  assert.equal(crc16(digits), 0x29b1);
  assert.match(await sha256(digits), /^15e2b0d3c33891eb/);
});

test("the hash of tables is that of the example in FORMAT.md", async () => {
  const kind = { dtype: "|u1", shape: [1], values: Uint8Array.of(2), bytes: Uint8Array.of(2) };
  const offsets = {
    dtype: "<f4",
    shape: [2],
    values: Float32Array.of(0, 1),
    bytes: Uint8Array.of(0, 0, 0, 0, 0, 0, 0x80, 0x3f),
  };
  const hash = await tablesHash(new Map(Object.entries({ offsets, bank_kind: kind })));
  assert.ok((await readFile(new URL("runtime/FORMAT.md", ROOT), "utf-8")).includes(hash));
});

test("rint rounds half to even", () => {
  assert.deepEqual(
    [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.4999998, -0.7].map(rint).map((x) => x + 0),
    [-2, -2, 0, 0, 2, 2, 2, -1],
  );
});

test("canonical JSON is Python's", () => {
  assert.equal(
    canonical({ b: [1, "ä\n\u2028😀\u007f"], a: { d: null, c: true } }),
    '{"a":{"c":true,"d":null},"b":[1,"\\u00e4\\n\\u2028\\ud83d\\ude00\\u007f"]}',
  );
});

test("strict JSON knows doubled keys and fractions", () => {
  assert.throws(() => parseStrictly('{"a":{"b":1,"b":2}}'), SyntaxError);
  assert.throws(() => parseStrictly('{"a":1e400}'), SyntaxError);
  assert.deepEqual(parseStrictly('{"a":[1,2.0],"b":{"c":"1.5","d":1e2}}').fractions, ["/a", "/b/d"]);
});

test("chunks of a stream", () => {
  const geometry = { stride: /** @type {[number, number]} */ ([8, 8]), channels: 1024, hyperStride: 4 };
  const rows = (/** @type {Layout} */ layout) =>
    [...layout.spans()].map(({ firstImage, images, firstRow, rows }) => [firstImage, images, firstRow, rows]);
  assert.deepEqual(rows(new Layout(geometry, 5, 128, 256, 2 ** 31)), [
    [0, 2, 0, 16],
    [2, 2, 0, 16],
    [4, 1, 0, 16],
  ]);
  assert.deepEqual(rows(new Layout(geometry, 1, 128, 1024, 2 ** 31)), [
    [0, 1, 0, 8],
    [0, 1, 8, 8],
  ]);
  assert.deepEqual(rows(new Layout(geometry, 1, 128, 8192, 2 ** 31)), [
    [0, 1, 0, 4],
    [0, 1, 4, 4],
    [0, 1, 8, 4],
    [0, 1, 12, 4],
  ]);
  assert.throws(() => new Layout(geometry, 1, 128, 8200, 2 ** 31), face.LimitError);
  assert.equal(new Layout(geometry, 2, 128, 1024, 2 ** 31).chunks, 4);
});

test("tiles cover every position once, with context", () => {
  for (const [h, w, overlap] of [
    [300, 7, 3],
    [90, 200, 5],
    [64, 64, 0],
    [500, 500, 9],
  ]) {
    const manifest = /** @type {any} */ ({
      image: { stride: [16, 16], patched: false },
      limits: { band_pixels: 2 ** 18, overlap },
    });
    const seen = new Uint8Array(h * w);
    for (const [{ inner, outer }] of batches(manifest, 1, h, w)) {
      assert.ok(outer.row === Math.max(inner.row - overlap, 0) && outer.column === Math.max(inner.column - overlap, 0));
      assert.ok(outer.row + outer.rows === Math.min(inner.row + inner.rows + overlap, h));
      for (let row = inner.row; row < inner.row + inner.rows; row++) {
        for (let column = inner.column; column < inner.column + inner.columns; column++) seen[row * w + column]++;
      }
    }
    assert.ok(seen.every((times) => times === 1));
  }
});

test("names keep bytes that are not UTF-8", async () => {
  const names = ["ä/b.png", "c\udcff.png", "\udcc3", "\udcc3\udc28x", "😀"];
  const { deflateSync } = await import("node:zlib");
  const bytes = [
    [0xc3, 0xa4, ...Buffer.from("/b.png")],
    [0x63, 0xff, ...Buffer.from(".png")],
    [0xc3],
    [0xc3, 0x28, 0x78],
    [...Buffer.from("😀")],
  ];
  const packed = deflateSync(Uint8Array.from(bytes.flatMap((name) => [...name, 0])));
  const found = unpackNames(packed, 5);
  assert.deepEqual(found, ["ä/b.png", "c\udcff.png", "\udcc3", "\udcc3(x", "😀"]);
  assert.deepEqual(unpackNames(await packNames(found), 5), found);
  for (const bad of [["a", "a"], ["/a"], ["a/../b"], ["x".repeat(4097)], ["ä".repeat(2049)], ["a\0b"], [""]]) {
    await assert.rejects(async () => packNames(bad), face.ArgumentError);
  }
  assert.equal(names.length, 5);
});

/** @param {number} left @param {number} up @param {number} corner as PNG's specification has it */
function paeth(left, up, corner) {
  const distances = [left, up, corner].map((value) => Math.abs(left + up - corner - value));
  return [left, up, corner][distances.indexOf(Math.min(...distances))];
}

test("zlib blobs of every filter and number of samples come back", async () => {
  const { deflateSync } = await import("node:zlib");
  const next = random(23);
  for (const samples of [1, 2, 3, 4]) {
    const [height, width] = [25, 13];
    const pixels = Uint8Array.from({ length: height * width * samples }, (_, i) => (i >> 4) + 40 * next());
    const at = (/** @type {number} */ row, /** @type {number} */ i) =>
      row < 0 || i < 0 ? 0 : pixels[row * width * samples + i];
    const rows = Array.from({ length: height }, (_, row) => {
      const filtered = Array.from({ length: width * samples }, (_, i) => {
        const [left, up, corner] = [at(row, i - samples), at(row - 1, i), at(row - 1, i - samples)];
        return at(row, i) - [0, left, up, (left + up) >> 1, paeth(left, up, corner)][row % 5];
      });
      return [row % 5, ...filtered];
    });
    const blob = deflateSync(Uint8Array.from(rows.flat()));
    assert.deepEqual(decodeBlob(blob, height, width, samples), pixels);
    assert.throws(() => decodeBlob(blob, height + 1, width, samples), face.StreamError);
    assert.throws(() => decodeBlob(blob, height - 1, width, samples), face.StreamError);
  }
});

/** Tables of all kinds with random frequencies. @param {() => number} next */
function randomBank(next) {
  const [tables, columns] = [6, 12];
  const frequencies = new Uint16Array(tables * columns);
  const [sizes, minimum, kind] = [new Uint16Array(tables), new Int16Array(tables), Uint8Array.of(0, 1, 2, 0, 1, 1)];
  for (let table = 0; table < tables; table++) {
    sizes[table] = kind[table] === 2 ? 1 : 2 + Math.floor(next() * (columns - 1));
    minimum[table] = kind[table] ? 0 : Math.floor(-10 * next());
    const [first, size] = [table * columns, sizes[table]];
    frequencies.fill(1, first, first + size);
    for (let left = 16384 - size; left; left--) frequencies[first + Math.floor(next() * next() * size)]++;
  }
  return new Bank(frequencies, columns, sizes, minimum, kind);
}

test("symbols of every kind of table come back from a chunk", () => {
  const next = random(3);
  for (let trial = 0; trial < 60; trial++) {
    const bank = randomBank(next);
    const spread = [0.2, 3, 40, 20000][trial % 4];
    const passes = Array.from({ length: 1 + (trial % 3) }, () => {
      const tables = Uint8Array.from({ length: Math.floor(next() * [3, 40, 3000][trial % 3]) }, () => next() * 6);
      return {
        tables,
        symbols: Int16Array.from(tables, (table) => (bank.kind[table] === 2 ? 0 : spread * (next() - 0.5) * 2)),
      };
    });
    const decoder = new ChunkDecoder(encodeChunk(passes, bank), bank);
    passes.forEach(({ tables, symbols }, i) =>
      assert.deepEqual(decoder.decode(tables, i === passes.length - 1), symbols),
    );
  }
});
