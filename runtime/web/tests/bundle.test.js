/** Bundles: where they come from, and one that lies for each rule. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { after, before, describe, test } from "node:test";

import { concat, viewOf } from "../src/bytes.js";
import { BundleError, MissingHalfError, ModelNotFoundError, load } from "../src/index.js";
import { TINY, golden, tiny } from "./fixtures.js";
import { filesOf, withManifest, zipOf } from "./forged.js";
import { LIES } from "./lies.js";

const HYPER = await filesOf("tiny-hyper");
const CONV = await filesOf("tiny-conv");
const { stream: STREAM, symbols: SYMBOLS } = await golden(tiny("tiny-hyper"), "disk");

/** @param {import("../src/index.js").Codec} codec */
async function assertReads(codec) {
  assert.deepEqual(await codec.decompressSymbols(STREAM), SYMBOLS);
}

describe("a bundle loads", () => {
  const zip = zipOf(HYPER);
  test("from the bytes of an .aeb file", async () => assertReads(await load(zip)));
  test("from an ArrayBuffer", async () => assertReads(await load(zip.slice().buffer)));
  test("from a File", async () => assertReads(await load(new File([zip], "tiny.aeb"))));
  test("from a folder by its path", async () => assertReads(await load(fileURLToPath(tiny("tiny-hyper")))));
  test("from a folder by its file URL", async () => assertReads(await load(tiny("tiny-hyper"))));
  test("with the decoder half alone", async () => {
    const codec = await load(
      zipOf(
        await withManifest(HYPER, (manifest) => {
          manifest.halves = ["decoder"];
        }),
      ),
    );
    await assertReads(codec);
    await assert.rejects(codec.compress({ data: new Uint8Array(4), width: 1, height: 1 }), MissingHalfError);
  });
});

describe("over HTTP", () => {
  const server = createServer(async ({ url = "" }, response) => {
    const found = await readFile(new URL(`.${url}`, TINY)).catch(() => null);
    if (url === "/tiny.aeb") response.end(zipOf(HYPER));
    else if (url.startsWith("/long/"))
      response.end(Buffer.concat([await readFile(new URL(`.${url.slice(5)}`, TINY)), Buffer.alloc(1)]));
    else if (found) response.end(found);
    else response.writeHead(404).end();
  });
  let base = "";
  before(async () => {
    await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
    base = `http://127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (server.address()).port}/`;
  });
  after(() => void server.close());

  test("a folder loads file by file", async () => assertReads(await load(`${base}tiny-hyper`)));
  test("an .aeb file loads at once", async () => assertReads(await load(new URL(`${base}tiny.aeb`))));
  test("a URL without a bundle is a ModelNotFoundError", async () => {
    await assert.rejects(load(`${base}nothing/`), ModelNotFoundError);
    await assert.rejects(load(`${base}nothing.aeb`), ModelNotFoundError);
  });
  test("a file that is longer than the manifest says is a BundleError", () =>
    assert.rejects(load(`${base}long/tiny-hyper/`), BundleError));
});

test("a path without a bundle is a ModelNotFoundError", async () => {
  await assert.rejects(load(fileURLToPath(TINY)), ModelNotFoundError);
  await assert.rejects(load("/nowhere.aeb"), ModelNotFoundError);
});

describe("a manifest is refused with", () => {
  for (const [name, lie] of Object.entries(LIES)) {
    test(name, async () => assert.rejects(load(zipOf(await withManifest(HYPER, lie))), BundleError));
  }
  test("geometry that is not its hash's", async () => {
    const manifest = JSON.parse(new TextDecoder().decode(HYPER.get("manifest.json")));
    manifest.prior.stride = 2;
    const text = new TextEncoder().encode(JSON.stringify(manifest));
    await assert.rejects(load(zipOf(new Map(HYPER).set("manifest.json", text))), BundleError);
  });
});

test("a manifest may lack precision, and have an anomaly", async () => {
  const files = await withManifest(CONV, (manifest) => {
    delete manifest.precision;
    manifest.anomaly = { score: "mse", threshold: 0.5, false_positive_rate: 0, images: 5 };
  });
  assert.equal((await load(zipOf(files))).bundle.manifest.family, "conv");
});

describe("an .aeb file is refused", () => {
  /** @type {Record<string, () => Uint8Array>} */
  const files = {
    "that is no zip": () => new Uint8Array(100),
    "that is empty": () => new Uint8Array(0),
    "that is cut short": () => zipOf(HYPER).subarray(0, -1),
    "with a comment": () => zipOf(HYPER, { comment: "hello" }),
    "with a compressed entry": () => zipOf(HYPER, { method: 8 }),
    "with a link": () => zipOf(HYPER, { attributes: 0xa1ff0000 }),
    "with an entry twice": () => zipOf([...HYPER, ["prior.onnx", new Uint8Array(1)]]),
    "with a file that is not listed": () => zipOf([...HYPER, ["more.txt", new Uint8Array(1)]]),
    "without a file that is listed": () => zipOf([...HYPER].filter(([name]) => name !== "parity.json")),
    "with another file of the same size": () =>
      zipOf(new Map(HYPER).set("parity.json", new TextEncoder().encode("[]\n"))),
    "with a damaged entry": () => {
      const data = zipOf(HYPER);
      data[200] ^= 1;
      return data;
    },
  };
  for (const [name, make] of Object.entries(files)) test(name, () => assert.rejects(load(make()), BundleError));
});

/** A zip of a thousand files, each of which holds all that come after it. */
function overlapping() {
  const [count, each, rest] = [1000, 30 + 5, 2 ** 24];
  const files = Array.from(
    { length: count },
    (_, i) => /** @type {[string, Uint8Array]} */ ([`f${1000 + i}`, new Uint8Array(0)]),
  );
  const plain = zipOf(files);
  const data = concat([plain.subarray(0, count * each), new Uint8Array(rest), plain.subarray(count * each)]);
  const view = viewOf(data);
  const directory = count * each + rest;
  for (let i = 0; i < count; i++) {
    for (const field of [20, 24]) view.setUint32(directory + i * (46 + 5) + field, directory - (i + 1) * each, true);
  }
  view.setUint32(data.length - 22 + 16, directory, true);
  return data;
}

test("entries of a zip that overlap are refused before they are read", async () => {
  const start = performance.now();
  await assert.rejects(load(overlapping()), { name: "BundleError", message: /larger than the file/ });
  assert.ok(performance.now() - start < 5000);
});

describe("a graph is refused", () => {
  /** @param {(graph: Uint8Array) => Uint8Array} change */
  async function withGraph(change) {
    const files = new Map(HYPER).set(
      "decoder.onnx",
      change(/** @type {Uint8Array} */ (HYPER.get("decoder.onnx")).slice()),
    );
    return load(zipOf(await withManifest(files, () => undefined)));
  }
  test("with a weight that is NaN", () =>
    assert.rejects(
      withGraph((graph) => {
        const at = findFloats(graph);
        graph.set([0, 0, 0xc0, 0x7f], at);
        return graph;
      }),
      BundleError,
    ));
  test("that is cut short", () =>
    assert.rejects(
      withGraph((graph) => graph.subarray(0, -5)),
      BundleError,
    ));
  test("that is no graph", () =>
    assert.rejects(
      withGraph(() => new TextEncoder().encode("hello, this is text")),
      BundleError,
    ));
});

/** Where the first raw data of at least 64 bytes begin: field 9 of a tensor. @param {Uint8Array} graph */
function findFloats(graph) {
  for (let i = 0; i < graph.length - 3; i++) {
    const size = (graph[i + 1] & 127) + (graph[i + 2] << 7);
    if (
      graph[i] === 0x4a &&
      graph[i + 1] > 127 &&
      graph[i + 2] < 128 &&
      size % 4 === 0 &&
      size >= 512 &&
      i + size < graph.length
    )
      return i + 3;
  }
  throw new Error("no floats found");
}
