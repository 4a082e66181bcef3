/** The demo: a stream becomes a picture, a picture becomes a stream, in a worker or by the service it comes from. */
import { info, loadInWorker } from "../src/index.js";
import { readImage, ServiceCodec } from "./service.js";

/** @template {HTMLElement} Kind @param {string} id @param {new () => Kind} Kind @returns {Kind} */
function element(id, Kind) {
  const found = document.getElementById(id);
  if (!(found instanceof Kind)) throw new Error(`no ${Kind.name} #${id}`);
  return found;
}

const drop = element("drop", HTMLLabelElement);
const file = element("file", HTMLInputElement);
const status = element("status", HTMLParagraphElement);
const problem = element("error", HTMLParagraphElement);
const result = element("result", HTMLElement);
const quality = element("quality", HTMLInputElement);
const wipe = element("wipe", HTMLInputElement);
const stage = element("stage", HTMLDivElement);
const [decoded, original] = [element("decoded", HTMLCanvasElement), element("original", HTMLCanvasElement)];

const SIGNATURE = [0xae, 0x45, 0x44];

/** @typedef {{image: ImageData, name: string, bytes: number}} Source a picture that was dropped */
/** @type {Source | null} */
let source = null;
/** Stops what goes on, when something newer was asked for. */
let current = new AbortController();

const { bundle = "", ort, service } = document.body.dataset;
/** @type {Promise<ServiceCodec | Awaited<ReturnType<typeof loadInWorker>>>} */
const codec = service ? Promise.resolve(new ServiceCodec(service)) : loadInWorker(bundle, { ort });
if (service) element("privacy", HTMLSpanElement).textContent = "It is sent to this server, which keeps nothing.";
codec.then((ready) => ready.warmUp()).then(() => say(""), show);

/** @param {string} text */
function say(text) {
  status.textContent = text;
}

/** @param {unknown} error */
function show(error) {
  if (error instanceof Error && error.name === "AbortError") return;
  problem.textContent = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  problem.hidden = false;
  say("");
}

/** Start something that replaces what goes on. @param {(signal: AbortSignal) => Promise<void>} call */
async function start(call) {
  current.abort();
  current = new AbortController();
  problem.hidden = true;
  await call(current.signal).catch(show);
}

/** @param {File} chosen */
async function open(chosen) {
  const bytes = new Uint8Array(await chosen.arrayBuffer());
  if (SIGNATURE.every((byte, i) => bytes[i] === byte)) {
    source = null;
    await start((signal) => decompress(bytes, chosen.name, null, signal));
    return;
  }
  try {
    source = { image: await readImage(chosen), name: chosen.name, bytes: chosen.size };
  } catch {
    show(new Error(`${chosen.name} is neither an .aee stream nor a picture that this browser reads`));
    return;
  }
  await start(compress);
}

/** Compress the picture at the quality that is set. @param {AbortSignal} signal */
async function compress(signal) {
  if (!source) return;
  const { image, name } = source;
  const ready = await codec;
  const began = performance.now();
  const stream = await ready.compress(image, Number(quality.value), {
    signal,
    onProgress: (done) => say(`Compressing … ${percent(done)}`),
  });
  await decompress(stream, name, performance.now() - began, signal);
}

/**
 * @param {Uint8Array} stream
 * @param {string} name
 * @param {number | null} compressMs
 * @param {AbortSignal} signal
 */
async function decompress(stream, name, compressMs, signal) {
  const ready = await codec;
  const began = performance.now();
  const pictures = await ready.decompressBatch(stream, {
    signal,
    onProgress: (done) => say(`Decompressing … ${percent(done)}`),
  });
  const times = { compressMs, decompressMs: performance.now() - began };
  const image = pictures[0].toImageData();
  paint(decoded, image);
  decoded.setAttribute("aria-label", `${name}, decompressed`);
  if (source) paint(original, source.image);
  for (const part of [
    original,
    element("bar", HTMLDivElement),
    element("quality-label", HTMLLabelElement),
    element("wipe-label", HTMLLabelElement),
  ])
    part.hidden = !source;
  listFacts(stream, image, times);
  offer(stream, name);
  result.hidden = false;
  say(`${name} is ready.`);
}

/** @param {HTMLCanvasElement} canvas @param {ImageData} image */
function paint(canvas, image) {
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d")?.putImageData(image, 0, 0);
}

/**
 * @param {Uint8Array} stream
 * @param {ImageData} image
 * @param {{compressMs: number | null, decompressMs: number}} times
 */
function listFacts(stream, image, { compressMs, decompressMs }) {
  const facts = info(stream);
  const sections = Object.entries(facts.sectionBytes).map(([name, bytes]) => `${name} ${bytes.toLocaleString()} bytes`);
  /** @type {Record<string, string>} */
  const rows = {
    Picture: `${facts.width} × ${facts.height}${facts.count > 1 ? `, the first of ${facts.count}` : ""}${facts.gray ? ", gray" : ""}`,
    Stream: `${facts.totalBytes.toLocaleString()} bytes, ${facts.bitsPerPixel.toFixed(3)} bits per pixel, quality ${facts.quality}`,
    ...(source && {
      File: `${source.bytes.toLocaleString()} bytes`,
      PSNR: decibels(psnr(source.image.data, image.data)),
    }),
    ...(sections.length && { Beside: sections.join(", ") }),
    Model: facts.streamId,
    Time: `${compressMs === null ? "" : `${Math.round(compressMs)} ms to compress, `}${Math.round(decompressMs)} ms to decompress`,
  };
  element("facts", HTMLDListElement).replaceChildren(
    ...Object.entries(rows).flatMap(([title, text]) => [item("dt", title), item("dd", text)]),
  );
}

/** @param {"dt" | "dd"} tag @param {string} text */
function item(tag, text) {
  return Object.assign(document.createElement(tag), { textContent: text });
}

/** @param {number} value */
function decibels(value) {
  return value === Infinity ? "lossless" : `${value.toFixed(2)} dB`;
}

/** PSNR of the color samples. @param {Uint8ClampedArray} a @param {Uint8ClampedArray} b */
function psnr(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) if (i % 4 < 3) sum += (a[i] - b[i]) ** 2;
  return 10 * Math.log10(255 ** 2 / (sum / (0.75 * a.length)));
}

/** Links to save what is shown. @param {Uint8Array} stream @param {string} name */
function offer(stream, name) {
  const base = name.replace(/\.[^.]*$/, "");
  link("save-stream", new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (stream)]), `${base}.aee`);
  decoded.toBlob((blob) => blob && link("save-png", blob, `${base}.png`));
}

/** @param {string} id @param {Blob} blob @param {string} name */
function link(id, blob, name) {
  const anchor = element(id, HTMLAnchorElement);
  URL.revokeObjectURL(anchor.href);
  anchor.href = URL.createObjectURL(blob);
  anchor.download = name;
}

/** @param {number} fraction */
function percent(fraction) {
  return `${Math.round(100 * fraction)} %`;
}

/** @param {number} value 0..100 */
function wipeTo(value) {
  wipe.value = String(value);
  stage.style.setProperty("--wipe", `${value}%`);
}

file.addEventListener("change", () => file.files?.[0] && open(file.files[0]));
quality.addEventListener("input", () => {
  element("quality-value", HTMLOutputElement).value = quality.value;
});
quality.addEventListener("change", () => start(compress));
wipe.addEventListener("input", () => wipeTo(Number(wipe.value)));
stage.addEventListener("pointermove", ({ clientX, buttons, pointerType }) => {
  if (!source || (pointerType !== "mouse" && !buttons)) return;
  const { left, width } = stage.getBoundingClientRect();
  wipeTo(Math.max(0, Math.min(100, (100 * (clientX - left)) / width)));
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.add("over");
});
document.addEventListener("dragleave", () => drop.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  const dropped = event.dataTransfer?.files[0];
  if (dropped) open(dropped);
});
