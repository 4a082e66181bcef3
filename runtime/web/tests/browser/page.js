/** What browser.test.js has the page do; answers are JSON. */
import { Picture, load, loadInWorker } from "../../src/index.js";
import { readNpy } from "../../src/npy.js";

const FIXTURES = "/tests/fixtures";
const ORT = "/runtime/web/node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";

/** @param {string} name */
function placeOf(name) {
  return name === "photo" ? "/runtime/aeedge_runtime/bundles/photo/" : `${FIXTURES}/bundles/${name}/`;
}

/** @param {string} url */
async function fetched(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** RGBA of a PNG, as it is. @param {string} url */
async function rgbaOf(url) {
  const bitmap = await createImageBitmap(new Blob([await fetched(url)]), {
    colorSpaceConversion: "none",
    premultiplyAlpha: "none",
  });
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (
    new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d")
  );
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

/** @param {ArrayLike<number>} a @param {ArrayLike<number>} b */
function mostDifference(a, b) {
  if (a.length !== b.length) return Infinity;
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i] - b[i]));
  return most;
}

const calls = {
  /**
   * Golden streams: [symbols that differ, largest difference of pixels] of each.
   *
   * @param {string} name
   * @param {string[]} streams
   * @param {import("../../src/load.js").LoadOptions} [options]
   */
  async golden(name, streams, options) {
    const codec = await load(placeOf(name), options);
    const found = [];
    for (const stream of streams) {
      const file = `${placeOf(name)}golden/${stream}`;
      const data = await fetched(`${file}.aee`);
      const [symbols, right] = [
        await codec.decompressSymbols(data),
        readNpy(await fetched(`${file}.symbols.npy`)).values,
      ];
      const picture = (await codec.decompress(data)).toImageData();
      found.push([
        mostDifference(symbols, right),
        mostDifference(picture.data, (await rgbaOf(`${file}.decoded.png`)).data),
      ]);
    }
    await codec.release();
    return found;
  },

  /** Name of the error of each stream, "" for none. @param {Record<string, {bundle: string}>} facts */
  async verdicts(facts) {
    /** @type {Map<string, import("../../src/index.js").Codec>} */
    const codecs = new Map();
    const found = [];
    for (const [name, { bundle }] of Object.entries(facts)) {
      const codec = codecs.get(bundle) ?? (await load(placeOf(bundle)));
      codecs.set(bundle, codec);
      const data = await fetched(`${FIXTURES}/streams/${name}`);
      found.push(
        await codec.decompressBatch(data).then(
          () => "",
          (error) => error.name,
        ),
      );
    }
    return found;
  },

  /** An ImageData compressed and decompressed in a worker: its stream, and the difference. */
  async worker() {
    const codec = await loadInWorker(placeOf("photo"), { ort: ORT });
    const image = await rgbaOf(`${placeOf("photo")}golden/1.png`);
    /** @type {number[]} */
    const progress = [];
    const stream = await codec.compress(image, 80, { onProgress: (fraction) => progress.push(fraction) });
    const picture = await codec.decompress(stream);
    const batch = await codec.decompressBatch(await codec.compressBatch([image, image], 80, { names: ["a", "b"] }));
    const controller = new AbortController();
    const stopped = codec.decompress(stream, { signal: controller.signal }).catch((error) => error.name);
    controller.abort();
    const damaged = await codec.decompress(stream.subarray(1)).catch((error) => [error.name, error.constructor.name]);
    const missing = await loadInWorker("/nowhere/", { ort: ORT }).catch((error) => error.name);
    const symbols = await codec.decompressSymbols(stream);
    codec.close();
    return {
      stream: Array.from(stream),
      symbols: symbols.length,
      isPicture: picture instanceof Picture,
      mean: picture.rgba().reduce((sum, value, i) => sum + Math.abs(value - image.data[i]), 0) / image.data.length,
      names: batch.map(({ name }) => name),
      progress: progress.at(-1),
      stopped: await stopped,
      damaged,
      missing,
      closed: await codec.decompress(stream).catch((error) => error.name),
    };
  },

  /** A bundle in one file, as from a file input. @param {number[]} zip */
  async file(zip) {
    return (await load(new File([Uint8Array.from(zip)], "tiny.aeb"))).bundle.manifest.name;
  },
};

Object.assign(globalThis, { calls });
