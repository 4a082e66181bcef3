/**
 * The codec in Chromium and in Node against Python, in turns in one run: node benchmarks/web.mjs
 *
 * One thread each, CPU time: machines are shared. The picture, 768x512, is a golden picture of the bundle, repeated like
 * in mirrors. PYTHON names an interpreter with aeedge's dependencies; ESBUILD the minifier, where the size of a
 * minified codec is wanted. Needs `npm ci` in runtime/web, and Chromium.
 */
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { Chromium } from "../runtime/web/tests/chromium.js";
import { PHOTO, ROOT, golden, mostDifference } from "../runtime/web/tests/fixtures.js";
import { serve } from "../runtime/web/tests/server.js";
import { Picture, load } from "../runtime/web/src/index.js";

const [WIDTH, HEIGHT, QUALITY, ROUNDS, WARM, CALLS] = [768, 512, 50, 3, 3, 4];
const OUT = new URL("results/web.json", import.meta.url);
const WEB = new URL("runtime/web/", ROOT);
const DIST = new URL("node_modules/onnxruntime-web/dist/", WEB);

const PYTHON = `
import json, sys, time
import numpy as np, onnxruntime
from aeedge_runtime import Codec
place, pixels, stream, width, height, quality, calls = sys.argv[1:]
codec = Codec.load(place, threads=1)
image = np.fromfile(pixels, np.uint8).reshape(int(height), int(width), 3)
data = open(stream, "rb").read()
work = {"encode": lambda: codec.compress(image, int(quality), stored_tiles=False),
        "decode": lambda: codec.decompress(data), "symbols": lambda: codec.decompress_symbols(data)}
found = {}
for name, call in work.items():
    call(); call()
    start = time.process_time()
    for _ in range(int(calls)):
        call()
    found[name] = 1000 * (time.process_time() - start) / int(calls)
codec.decompress(data).tofile(pixels + ".decoded")
print(json.dumps({"ms": found, "onnxruntime": onnxruntime.__version__}))
`;

/** CPU time of a call of each kind. `run` makes some calls in a row, `cpuMs` tells the time used so far. */
async function timed(run, cpuMs) {
  const found = {};
  for (const name of ["encode", "decode", "symbols"]) {
    await run(name, WARM); // V8 compiles what runs often
    const start = await cpuMs();
    await run(name, CALLS);
    found[name] = ((await cpuMs()) - start) / CALLS;
  }
  return found;
}

/** Calls of one kind, in Node and in the page. */
async function repeat(codec, picture, stream, quality, name, count) {
  const work = {
    encode: () => codec.compress(picture, quality),
    decode: () => codec.decompress(stream),
    symbols: () => codec.decompressSymbols(stream),
  };
  for (let i = 0; i < count; i++) await work[name]();
}

/** CPU time of the page's process. */
async function pageCpuMs(browser) {
  const { metrics } = await browser.send("Performance.getMetrics");
  return 1000 * metrics.find(({ name }) => name === "ProcessTime").value;
}

/** The golden picture, repeated like in mirrors. */
async function picture() {
  const { source } = await golden(PHOTO, "1");
  const mirrored = (i, n) => (Math.floor(i / n) % 2 ? n - 1 - (i % n) : i % n);
  const pixels = new Uint8Array(3 * WIDTH * HEIGHT);
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++) {
      const from = 3 * (mirrored(y, source.height) * source.width + mirrored(x, source.width));
      pixels.set(source.pixels.subarray(from, from + 3), 3 * (y * WIDTH + x));
    }
  }
  return new Picture({ pixels, width: WIDTH, height: HEIGHT, channels: 3 });
}

/** From an empty page to the first picture, in a new browser. */
async function firstPicture(base, stream) {
  const browser = await Chromium.start();
  try {
    await browser.open(`${base}runtime/web/tests/browser/page.html`);
    await browser.until("globalThis.calls");
    await browser.send("Performance.enable");
    const before = await pageCpuMs(browser);
    const wall = await browser.evaluate(`(async () => {
      const start = performance.now();
      const { load } = await import("/runtime/web/src/index.js");
      const codec = await load("/runtime/aeedge_runtime/bundles/photo/");
      await codec.decompress(Uint8Array.from(${JSON.stringify(Array.from(stream))}));
      return performance.now() - start;
    })()`);
    return { cpu_ms: (await pageCpuMs(browser)) - before, wall_ms: wall };
  } finally {
    await browser.close();
  }
}

/** Bytes as they are, and as a server sends them. */
async function sizes() {
  const total = {
    codec: { bytes: 0, gzip: 0 },
    onnxruntime: { bytes: 0, gzip: 0 },
    decoder_half: { bytes: 0, gzip: 0 },
  };
  const add = async (what, url) => {
    const data = await readFile(url);
    total[what].bytes += data.length;
    total[what].gzip += gzipSync(data, { level: 9 }).length;
  };
  for (const name of await readdir(new URL("src/", WEB))) await add("codec", new URL(`src/${name}`, WEB));
  for (const name of ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"])
    await add("onnxruntime", new URL(name, DIST));
  for (const name of [
    "manifest.json",
    "entropy.npz",
    "decoder.onnx",
    "prior.onnx",
    "context.onnx",
    "group_1.onnx",
    "group_2.onnx",
    "group_3.onnx",
  ]) {
    await add("decoder_half", new URL(name, PHOTO));
  }
  return total;
}

/** The codec bundled and minified, without ONNX Runtime; nothing without the minifier. */
function minified() {
  if (!process.env.ESBUILD) return {};
  const entry = fileURLToPath(new URL("src/index.js", WEB));
  const flags = ["--bundle", "--minify", "--format=esm", "--external:onnxruntime-web/*", "--external:node:*"];
  const { stdout } = spawnSync(process.env.ESBUILD, [entry, ...flags]);
  return { codec_minified: { bytes: stdout.length, gzip: gzipSync(stdout, { level: 9 }).length } };
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const summary = (parts) =>
  Object.fromEntries(Object.keys(parts[0]).map((name) => [name, median(parts.map((part) => part[name]))]));

async function main() {
  const codec = await load(PHOTO, { threads: 1 });
  const image = await picture();
  const stream = await codec.compress(image, QUALITY);
  const folder = await mkdtemp(join(tmpdir(), "aeedge-web-"));
  const [pixels, file] = [join(folder, "pixels"), join(folder, "stream.aee")];
  await writeFile(pixels, image.pixels);
  await writeFile(file, stream);
  const server = await serve();
  const browser = await Chromium.start();
  await browser.open(`${server.base}runtime/web/tests/browser/page.html`);
  await browser.until("globalThis.calls");
  await browser.evaluate(`(async () => {
    const { Picture, load } = await import("/runtime/web/src/index.js");
    const pixels = Uint8Array.from(atob("${Buffer.from(image.pixels).toString("base64")}"), (c) => c.charCodeAt(0));
    globalThis.picture = new Picture({ pixels, width: ${WIDTH}, height: ${HEIGHT}, channels: 3 });
    globalThis.stream = Uint8Array.from(atob("${Buffer.from(stream).toString("base64")}"), (c) => c.charCodeAt(0));
    globalThis.codec = await load("/runtime/aeedge_runtime/bundles/photo/", { threads: 1 });
    globalThis.repeat = ${repeat};
  })()`);
  await browser.send("Performance.enable");
  const here = (name, count) => repeat(codec, image, stream, QUALITY, name, count);
  const hereCpuMs = () => (process.cpuUsage().user + process.cpuUsage().system) / 1000;
  const there = (name, count) => browser.evaluate(`repeat(codec, picture, stream, ${QUALITY}, "${name}", ${count})`);
  const [python, node, chromium] = [[], [], []];
  let onnxruntime = "";
  for (let round = 0; round < ROUNDS; round++) {
    const args = ["-c", PYTHON, fileURLToPath(PHOTO), pixels, file, WIDTH, HEIGHT, QUALITY, CALLS].map(String);
    const { stdout, stderr, status } = spawnSync(process.env.PYTHON ?? "python3", args, {
      env: { ...process.env, PYTHONPATH: fileURLToPath(new URL("runtime/", ROOT)) },
      encoding: "utf-8",
    });
    if (status) throw new Error(stderr);
    const answer = JSON.parse(stdout);
    onnxruntime = answer.onnxruntime;
    python.push(answer.ms);
    node.push(await timed(here, hereCpuMs));
    chromium.push(await timed(there, () => pageCpuMs(browser)));
  }
  const difference = mostDifference((await codec.decompress(stream)).pixels, await readFile(`${pixels}.decoded`));
  if (difference > 1) throw new Error(`pixels differ by ${difference}`);
  const product = await browser.send("Browser.getVersion").catch(() => ({ product: "Chromium" }));
  await browser.close();
  const cold = await firstPicture(server.base, stream);
  server.close();
  await rm(folder, { recursive: true });
  const parts = { python: summary(python), node: summary(node), chromium: summary(chromium) };
  const ratio = (who) =>
    Object.fromEntries(Object.keys(parts.python).map((name) => [name, parts[who][name] / parts.python[name]]));
  const report = {
    schema: 1,
    date: new Date().toISOString().slice(0, 10),
    machine: { processor: cpus()[0].model, cores: cpus().length, load_average: loadavg()[0] },
    versions: {
      node: process.version,
      chromium: product.product,
      onnxruntime,
      "onnxruntime-web": JSON.parse(await readFile(new URL("../package.json", DIST), "utf-8")).version,
    },
    picture: { width: WIDTH, height: HEIGHT, quality: QUALITY, stream_bytes: stream.length },
    bytes: { ...(await sizes()), ...minified() },
    first_picture: cold,
    cpu_ms: parts,
    times_python: { node: ratio("node"), chromium: ratio("chromium") },
  };
  const rounded = (key, value) =>
    typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;
  await writeFile(OUT, `${JSON.stringify(report, rounded, 1)}\n`);
  console.log(JSON.stringify(report, rounded, 1));
}

await main();
