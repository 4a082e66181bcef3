/** Both implementations against each other, both ways. AEEDGE_CROSS multiplies the number of cases. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { test } from "node:test";

import { viewOf } from "../src/bytes.js";
import { crc16 } from "../src/checksums.js";
import { Picture, info, load } from "../src/index.js";
import { LIES } from "./lies.js";
import { decodeBlob } from "../src/lossless.js";
import { BUNDLES, ROOT, bytesAt, codecOf, golden, mostDifference, random, tiny, waves } from "./fixtures.js";
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
        yield {
          bundle,
          path: fileURLToPath(place),
          quality: 1 + Math.floor(100 * next()),
          images,
          width,
          height,
          channels,
        };
      }
    }
  }
}

/** @param {Uint8Array} bytes */
function symbolsOf(bytes) {
  return new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

test("Python reads what is written here", { skip: noPython }, () =>
  inFolder(async (at) => {
    const [jobs, checks] = [
      /** @type {import("./python.js").Job[]} */ ([]),
      /** @type {(() => Promise<void>)[]} */ ([]),
    ];
    for (const { bundle, path, quality, images } of cases()) {
      const codec = await codecOf(bundle);
      const stream = await codec.compressBatch(
        images.map((image) => new Picture(image)),
        quality,
      );
      const out = at(String(jobs.length));
      await writeFile(`${out}.aee`, stream);
      jobs.push({ do: "decompress", bundle: path, file: `${out}.aee`, out });
      checks.push(async () => {
        assert.deepEqual(await codec.decompressSymbols(stream), symbolsOf(await readFile(`${out}.symbols`)));
        const pictures = await codec.decompressBatch(stream);
        assert.ok(
          mostDifference(Buffer.concat(pictures.map(({ pixels }) => pixels)), await readFile(`${out}.pixels`)) <= 1,
        );
      });
    }
    assert.deepEqual(
      python(jobs),
      jobs.map(() => ""),
    );
    for (const check of checks) await check();
  }),
);

test("what Python writes is read here, and nearly the same is written", { skip: noPython }, () =>
  inFolder(async (at) => {
    const all = [...cases()];
    const jobs = await Promise.all(
      all.map(async ({ path, quality, images, width, height, channels }, i) => {
        await writeFile(at(`${i}.raw`), Buffer.concat(images.map(({ pixels }) => pixels)));
        return /** @type {import("./python.js").Job} */ ({
          do: "compress",
          bundle: path,
          file: at(`${i}.raw`),
          out: at(`${i}.aee`),
          quality,
          stored: false,
          shape: [images.length, height, width, channels],
        });
      }),
    );
    assert.deepEqual(
      python(jobs),
      jobs.map(() => ""),
    );
    const reads = jobs.map(
      (job, i) =>
        /** @type {import("./python.js").Job} */ ({
          do: "decompress",
          bundle: job.bundle,
          file: job.out,
          out: at(String(i)),
        }),
    );
    assert.deepEqual(
      python(reads),
      reads.map(() => ""),
    );
    let [symbols, other, equal] = [0, 0, 0];
    for (const [i, { bundle, quality, images }] of all.entries()) {
      const codec = await codecOf(bundle);
      const stream = new Uint8Array(await readFile(at(`${i}.aee`)));
      const found = await codec.decompressSymbols(stream);
      assert.deepEqual(found, symbolsOf(await readFile(at(`${i}.symbols`))));
      const pictures = await codec.decompressBatch(stream);
      assert.ok(
        mostDifference(Buffer.concat(pictures.map(({ pixels }) => pixels)), await readFile(at(`${i}.pixels`))) <= 1,
      );
      const own = await codec.compressBatch(
        images.map((image) => new Picture(image)),
        quality,
      );
      if (Buffer.compare(own, stream) === 0) equal++;
      const ours = await codec.decompressSymbols(own);
      symbols += found.length;
      other += found.filter((symbol, k) => symbol !== ours[k]).length;
    }
    console.log(
      `# ${all.length} streams, ${equal} of them byte for byte the same; ${other} of ${symbols} symbols differ`,
    );
    assert.ok(equal >= all.length / 2);
    assert.ok(other <= symbols / 1000);
  }),
);

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
  for (let change = 0; change < 1 + 3 * next(); change++)
    forged[4 + Math.floor(next() * (forged.length - 8))] = 256 * next();
  if (forged.length > header + 10) viewOf(forged).setUint16(header, crc16(forged.subarray(0, header)), true);
  return sealed(forged);
}

test("forged streams meet the same class of error", { skip: noPython }, () =>
  inFolder(async (at) => {
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
        ours.push(
          await codec.decompressBatch(forged).then(
            () => "",
            (error) => error.name,
          ),
        );
      }
    }
    assert.deepEqual(ours, python(jobs));
  }),
);

test("bundles that lie are refused by both", { skip: noPython }, () =>
  inFolder(async (at) => {
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
    assert.deepEqual(found, {
      ...Object.fromEntries(Object.keys(LIES).map((name) => [name, "BundleError"])),
      good: "",
    });
    await load(at("good.aeb"));
  }),
);

/**
 * Pixels as screens, drawings and photographs have them: flat areas, few colors, gradients, noise.
 *
 * @param {() => number} next
 * @param {number} width
 * @param {number} height
 * @param {number} samples
 */
function screen(next, width, height, samples) {
  const [kind, colors] = [Math.floor(5 * next()), 1 + Math.floor(20 * next())];
  const palette = Array.from({ length: colors * samples }, () => 256 * next());
  const pixels = new Uint8Array(width * height * samples);
  for (let i = 0; i < width * height; i++) {
    const [x, y] = [i % width, Math.floor(i / width)];
    const color = kind === 0 ? 0 : kind === 1 ? (x >> 3) * 7 + (y >> 4) : kind === 2 ? 1000 * next() : -1;
    for (let sample = 0; sample < samples; sample++) {
      const smooth = x * (1 + sample) + y + (kind === 4 ? 40 * next() : 0);
      pixels[i * samples + sample] = color < 0 ? smooth : palette[(Math.floor(color) % colors) * samples + sample];
    }
  }
  return pixels;
}

test("lossless blobs of every kind come back exactly", { skip: noPython }, () =>
  inFolder(async (at) => {
    const next = random(13);
    const images = Array.from({ length: 60 * TIMES }, (_, i) => {
      const [width, height, samples] = [
        1 + Math.floor(next() * [8, 70, 300][i % 3]),
        1 + Math.floor(next() * [8, 70, 300][i % 3]),
        1 + (i % 4),
      ];
      return { width, height, samples, pixels: screen(next, width, height, samples) };
    });
    const jobs = await Promise.all(
      images.map(async ({ width, height, samples, pixels }, i) => {
        await writeFile(at(`${i}.raw`), pixels);
        return /** @type {import("./python.js").Job} */ ({
          do: "blob",
          file: at(`${i}.raw`),
          out: at(String(i)),
          shape: [height, width, samples],
        });
      }),
    );
    assert.deepEqual(
      python(jobs),
      jobs.map(() => ""),
    );
    for (const [i, { width, height, samples, pixels }] of images.entries()) {
      const blob = new Uint8Array(await readFile(at(String(i))));
      assert.deepEqual(
        decodeBlob(blob, height, width, samples),
        pixels,
        `${width}x${height}x${samples}, ${blob.length} bytes`,
      );
    }
  }),
);

test("damaged blobs are refused or decode, within the memory of their size", { skip: noPython }, () =>
  inFolder(async (at) => {
    const next = random(17);
    const jobs = await Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        await writeFile(at(`${i}.raw`), screen(next, 90, 70, 3));
        return /** @type {import("./python.js").Job} */ ({
          do: "blob",
          file: at(`${i}.raw`),
          out: at(String(i)),
          shape: [70, 90, 3],
        });
      }),
    );
    assert.deepEqual(
      python(jobs),
      jobs.map(() => ""),
    );
    for (let i = 0; i < jobs.length; i++) {
      const blob = new Uint8Array(await readFile(at(String(i))));
      for (let trial = 0; trial < 150; trial++) {
        const damaged = next() < 0.3 ? blob.slice(0, 5 + next() * (blob.length - 5)) : blob.slice();
        for (let change = 0; change < 3; change++)
          damaged[5 + Math.floor(next() * (damaged.length - 5))] = 256 * next();
        try {
          decodeBlob(damaged, 70, 90, 3);
        } catch (error) {
          assert.equal(/** @type {Error} */ (error).name, "StreamError", String(error));
        }
      }
    }
  }),
);

test("streams with stored tiles decode to Python's pixels", { skip: noPython }, () =>
  inFolder(async (at) => {
    const next = random(19);
    const [jobs, reads] = [
      /** @type {import("./python.js").Job[]} */ ([]),
      /** @type {import("./python.js").Job[]} */ ([]),
    ];
    for (const [bundle, place] of BUNDLES) {
      const channels = ["tiny-dense", "tiny-vae"].includes(bundle) ? 1 : 3;
      for (const samples of [channels, channels + 1]) {
        const [width, height] = [130 + Math.floor(100 * next()), 130 + Math.floor(100 * next())];
        const images = [0, 1].map(() => mixed(next, width, height, samples));
        const [file, out] = [at(`${jobs.length}.raw`), at(`${jobs.length}.aee`)];
        await writeFile(file, Buffer.concat(images));
        jobs.push({
          do: "compress",
          bundle: fileURLToPath(place),
          file,
          out,
          quality: 70,
          stored: true,
          shape: [2, height, width, samples],
        });
        reads.push({ do: "decompress", bundle: fileURLToPath(place), file: out, out: at(`${reads.length}`) });
      }
    }
    assert.deepEqual(
      python([...jobs, ...reads]),
      [...jobs, ...reads].map(() => ""),
    );
    const folder = new URL("tests/fixtures/streams/", ROOT);
    const facts = JSON.parse(await readFile(new URL("streams.json", folder), "utf-8"));
    const good = Object.keys(facts).filter((name) => /^good-.*(tiles|bound)/.test(name));
    const fixtures = good.map(
      (name, i) =>
        /** @type {import("./python.js").Job} */ ({
          do: "decompress",
          bundle: fileURLToPath(tiny(facts[name].bundle)),
          file: fileURLToPath(new URL(name, folder)),
          out: at(`fixture${i}`),
        }),
    );
    assert.deepEqual(
      python(fixtures),
      fixtures.map(() => ""),
    );
    for (const [i, name] of good.entries()) {
      const pictures = await (await codecOf(facts[name].bundle)).decompressBatch(await bytesAt(new URL(name, folder)));
      assert.ok(
        mostDifference(Buffer.concat(pictures.map(joined)), await readFile(at(`fixture${i}.pixels`))) <= 1,
        name,
      );
    }
    let stored = 0;
    for (const [i, { file, out }] of reads.entries()) {
      const codec = await codecOf(BUNDLES[i >> 1][0]);
      const stream = new Uint8Array(await readFile(/** @type {string} */ (file)));
      if ("stored tiles" in info(stream).sectionBytes) stored++;
      assert.deepEqual(await codec.decompressSymbols(stream), symbolsOf(await readFile(`${out}.symbols`)));
      const right = await readFile(`${out}.pixels`);
      assert.ok(mostDifference(Buffer.concat((await codec.decompressBatch(stream)).map(joined)), right) <= 1);
    }
    assert.ok(stored >= 2, `${stored} streams with stored tiles`);
  }),
);

/**
 * A screen with waves in its lower right part.
 *
 * @param {() => number} next
 * @param {number} width
 * @param {number} height
 * @param {number} samples
 */
function mixed(next, width, height, samples) {
  const pixels = screen(next, width, height, samples);
  const photo = waves(2 ** 31 * next(), width, height, samples).pixels;
  for (let i = 0; i < pixels.length; i++) {
    const [x, y] = [Math.floor(i / samples) % width, Math.floor(i / samples / width)];
    if (x > width / 2 && y > height / 3) pixels[i] = photo[i];
  }
  return pixels;
}

/** Pixels with alpha as their last sample, as Python joins them. @param {Picture} picture */
function joined({ pixels, alpha, channels }) {
  if (!alpha) return pixels;
  return new Uint8Array(alpha.length * (channels + 1)).map((_, i) => {
    const [pixel, sample] = [Math.floor(i / (channels + 1)), i % (channels + 1)];
    return sample === channels ? alpha[pixel] : pixels[pixel * channels + sample];
  });
}
