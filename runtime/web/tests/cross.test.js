/** Both implementations against each other, both ways. AEEDGE_CROSS multiplies the number of cases. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { test } from "node:test";

import { viewOf } from "../src/bytes.js";
import { crc16 } from "../src/checksums.js";
import { Picture, info, load } from "../src/index.js";
import { LIES } from "./lies.js";
import { BUNDLES, codecOf, golden, mostDifference, random, tiny, waves } from "./fixtures.js";
import { filesOf, sealed, withManifest, zipOf } from "./forged.js";
import { inFolder, noPython, python } from "./python.js";

const TIMES = Number(process.env.AEEDGE_CROSS ?? 1);

/** Pictures to code: a bundle, a quality, and images of one size. */
function* cases() {
  const next = random(7);
  for (let turn = 0; turn < TIMES; turn++) {
    for (const [bundle, place] of BUNDLES) {
      const channels = ["tiny-dense", "tiny-vae"].includes(bundle) ? 1 : 3;
      for (const count of [1, 3]) {
        const [width, height] = [1 + Math.floor(150 * next()), 1 + Math.floor(150 * next())];
        const images = Array.from({ length: count }, () => waves(next() * 2 ** 31, width, height, channels));
        yield { bundle, path: fileURLToPath(place), quality: 1 + Math.floor(100 * next()), images, width, height, channels };
      }
    }
  }
}

/** @param {Uint8Array} bytes */
function symbolsOf(bytes) {
  return new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

test("Python reads what is written here", { skip: noPython }, () => inFolder(async (at) => {
  const [jobs, checks] = [/** @type {import("./python.js").Job[]} */ ([]), /** @type {(() => Promise<void>)[]} */ ([])];
  for (const { bundle, path, quality, images } of cases()) {
    const codec = await codecOf(bundle);
    const stream = await codec.compressBatch(images.map((image) => new Picture(image)), quality);
    const out = at(String(jobs.length));
    await writeFile(`${out}.aee`, stream);
    jobs.push({ do: "decompress", bundle: path, file: `${out}.aee`, out });
    checks.push(async () => {
      assert.deepEqual(await codec.decompressSymbols(stream), symbolsOf(await readFile(`${out}.symbols`)));
      const pictures = await codec.decompressBatch(stream);
      assert.ok(mostDifference(Buffer.concat(pictures.map(({ pixels }) => pixels)), await readFile(`${out}.pixels`)) <= 1);
    });
  }
  assert.deepEqual(python(jobs), jobs.map(() => ""));
  for (const check of checks) await check();
}));

test("what Python writes is read here, and nearly the same is written", { skip: noPython }, () => inFolder(async (at) => {
  const all = [...cases()];
  const jobs = await Promise.all(all.map(async ({ path, quality, images, width, height, channels }, i) => {
    await writeFile(at(`${i}.raw`), Buffer.concat(images.map(({ pixels }) => pixels)));
    return /** @type {import("./python.js").Job} */ ({ do: "compress", bundle: path, file: at(`${i}.raw`), out: at(`${i}.aee`), quality, shape: [images.length, height, width, channels] });
  }));
  assert.deepEqual(python(jobs), jobs.map(() => ""));
  const reads = jobs.map((job, i) => /** @type {import("./python.js").Job} */ ({ do: "decompress", bundle: job.bundle, file: job.out, out: at(String(i)) }));
  assert.deepEqual(python(reads), reads.map(() => ""));
  let [symbols, other, equal] = [0, 0, 0];
  for (const [i, { bundle, quality, images }] of all.entries()) {
    const codec = await codecOf(bundle);
    const stream = new Uint8Array(await readFile(at(`${i}.aee`)));
    const found = await codec.decompressSymbols(stream);
    assert.deepEqual(found, symbolsOf(await readFile(at(`${i}.symbols`))));
    const pictures = await codec.decompressBatch(stream);
    assert.ok(mostDifference(Buffer.concat(pictures.map(({ pixels }) => pixels)), await readFile(at(`${i}.pixels`))) <= 1);
    const own = await codec.compressBatch(images.map((image) => new Picture(image)), quality);
    if (Buffer.compare(own, stream) === 0) equal++;
    const ours = await codec.decompressSymbols(own);
    symbols += found.length;
    other += found.filter((symbol, k) => symbol !== ours[k]).length;
  }
  console.log(`# ${all.length} streams, ${equal} of them byte for byte the same; ${other} of ${symbols} symbols differ`);
  assert.ok(equal >= all.length / 2);
  assert.ok(other <= symbols / 1000);
}));

/**
 * A stream with some bytes changed, perhaps cut short, and its checksums made right.
 *
 * @param {Uint8Array} stream
 * @param {() => number} next
 */
function forge(stream, next) {
  const { totalBytes, payloadBytes } = info(stream);
  const header = totalBytes - payloadBytes - 10;
  const forged = stream.slice(0, next() < 0.1 ? Math.floor(30 + next() * (stream.length - 30)) : stream.length);
  for (let change = 0; change < 1 + 3 * next(); change++) forged[4 + Math.floor(next() * (forged.length - 8))] = 256 * next();
  if (forged.length > header + 10) viewOf(forged).setUint16(header, crc16(forged.subarray(0, header)), true);
  return sealed(forged);
}

test("forged streams meet the same class of error", { skip: noPython }, () => inFolder(async (at) => {
  const next = random(11);
  const [jobs, ours] = [/** @type {import("./python.js").Job[]} */ ([]), /** @type {string[]} */ ([])];
  for (const bundle of ["tiny-dense", "tiny-conv", "tiny-hyper", "tiny-groups"]) {
    const codec = await codecOf(bundle);
    const { stream } = await golden(tiny(bundle), "disk-fine");
    for (let trial = 0; trial < 100 * TIMES; trial++) {
      const forged = forge(stream, next);
      const file = at(`${jobs.length}.aee`);
      await writeFile(file, forged);
      jobs.push({ do: "decompress", bundle: fileURLToPath(tiny(bundle)), file, out: at("out") });
      ours.push(await codec.decompressBatch(forged).then(() => "", (error) => error.name));
    }
  }
  assert.deepEqual(ours, python(jobs));
}));

test("bundles that lie are refused by both", { skip: noPython }, () => inFolder(async (at) => {
  const files = await filesOf("tiny-hyper");
  /** @type {import("./python.js").Job[]} */
  const jobs = [];
  for (const [i, lie] of Object.values(LIES).entries()) {
    const data = zipOf(await withManifest(files, lie));
    await writeFile(at(`${i}.aeb`), data);
    jobs.push({ do: "load", bundle: at(`${i}.aeb`) });
  }
  await writeFile(at("good.aeb"), zipOf(files));
  jobs.push({ do: "load", bundle: at("good.aeb") });
  const found = Object.fromEntries(python(jobs).map((name, i) => [Object.keys(LIES)[i] ?? "good", name]));
  assert.deepEqual(found, { ...Object.fromEntries(Object.keys(LIES).map((name) => [name, "BundleError"])), good: "" });
  await load(at("good.aeb"));
}));
