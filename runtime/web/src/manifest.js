/** The manifest of a bundle (FORMAT.md, Bundle): every field is checked before it is used. */
import { BundleError, messageOf } from "./errors.js";
import { geometryHash, streamId } from "./identity.js";
import { checkChoice, checkHash, checkInteger, checkKeys, checkObject, checkText, shown } from "./json-checks.js";
import { parseStrictly } from "./json.js";
import {
  MAX_CHANNELS,
  MAX_DIMENSION,
  MAX_FILE_BYTES,
  MAX_GROUPS,
  MAX_HYPER_STRIDE,
  MAX_MANIFEST_BYTES,
} from "./limits.js";

/** @typedef {"encoder" | "decoder"} Half */
/** @typedef {{channels: 1 | 3, stride: [number, number], patched: boolean}} ImageFacts */
/** @typedef {{kind: "factorized"}} FactorizedFacts */
/** @typedef {{kind: "hyperprior", channels: number, stride: number, passes: 1 | 2, groups?: number[]}} HyperFacts */
/** @typedef {{sha256: string, bytes: number}} FileFacts */

/**
 * manifest.json as it is, after its checks.
 *
 * @typedef {object} Manifest
 * @property {1} schema
 * @property {string} name
 * @property {string} preset
 * @property {string} created_by
 * @property {string} family
 * @property {ImageFacts} image
 * @property {{channels: number}} latent
 * @property {FactorizedFacts | HyperFacts} prior
 * @property {Half[]} halves
 * @property {Record<string, FileFacts>} files
 * @property {{max_pixels: number, band_pixels: number, overlap: number}} limits
 * @property {object | null} anomaly
 * @property {object} training
 * @property {{encoder: string, decoder: string}} [precision]
 * @property {string} stream_id
 * @property {Record<string, string>} stream_id_parts
 */

const KEYS = [
  "schema",
  "name",
  "preset",
  "created_by",
  "family",
  "image",
  "latent",
  "prior",
  "halves",
  "files",
  "limits",
  "anomaly",
  "training",
  "stream_id",
  "stream_id_parts",
];
const FILE_NAME = /^(golden\/)?[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/;
const MAY_BE_FRACTION = /^\/(training(\/|$)|anomaly\/(threshold|false_positive_rate)$)/;
const MOST_PIXELS = MAX_DIMENSION ** 2;

/**
 * @param {Uint8Array} data
 * @returns {Promise<Manifest>}
 * @throws {BundleError} a rule of the manifest is broken, or an id does not add up.
 */
export async function readManifest(data) {
  if (data.length > MAX_MANIFEST_BYTES)
    throw new BundleError(`manifest.json has ${data.length} bytes, at most ${MAX_MANIFEST_BYTES} are read`);
  const value = parse(data);
  const manifest = checkManifest(value);
  if ((await geometryHash(manifest)) !== manifest.stream_id_parts.geometry) {
    throw new BundleError("manifest: the geometry hash does not fit image, latent and prior; export the bundle again");
  }
  if ((await streamId(manifest.stream_id_parts)) !== manifest.stream_id) {
    throw new BundleError("manifest: the stream id does not fit its parts; export the bundle again");
  }
  return manifest;
}

/**
 * Latent channels of each group of a hyperprior.
 *
 * @param {Manifest} manifest
 */
export function groupsOf({ latent, prior }) {
  return (prior.kind === "hyperprior" && prior.groups) || [latent.channels];
}

/**
 * Graphs that predict tables and means, in coding order.
 *
 * @param {Manifest} manifest
 */
export function priorGraphs(manifest) {
  const { prior } = manifest;
  if (prior.kind === "factorized") return [];
  const later = groupsOf(manifest)
    .slice(1)
    .map((_, i) => `group_${i + 1}.onnx`);
  return [...["prior.onnx", "context.onnx"].slice(0, prior.passes), ...later];
}

/**
 * Files that a half of the bundle needs.
 *
 * @param {Manifest} manifest
 * @param {Half} half
 */
export function filesOfHalf(manifest, half) {
  const hyper = half === "encoder" && manifest.prior.kind === "hyperprior" ? ["hyper_encoder.onnx"] : [];
  return ["entropy.npz", `${half}.onnx`, ...hyper, ...priorGraphs(manifest)];
}

/** @param {Uint8Array} data */
function parse(data) {
  try {
    const { value, fractions } = parseStrictly(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data));
    const wrong = fractions.find((path) => !MAY_BE_FRACTION.test(path));
    if (wrong) throw new SyntaxError(`${wrong} is a fraction, expected an integer`);
    return value;
  } catch (error) {
    throw new BundleError(`manifest.json is not the JSON of a manifest (${messageOf(error)}); the bundle is damaged`);
  }
}

/**
 * @param {unknown} value
 * @returns {Manifest}
 */
function checkManifest(value) {
  const found = checkKeys(value, "manifest", KEYS, ["precision"]);
  if (found.schema !== 1)
    throw new BundleError(`manifest: schema is ${shown(found.schema)}, this reader knows 1; update aeedge`);
  for (const key of ["name", "preset", "created_by", "stream_id"]) checkText(found[key], key);
  checkChoice(found.family, "family", ["dense", "conv", "vae", "hyperprior"]);
  checkImage(found.image);
  checkInteger(checkKeys(found.latent, "latent", ["channels"]).channels, "latent.channels", 1, MAX_CHANNELS);
  checkPrior(found.prior, found.latent.channels);
  if (!["encoder", "decoder", "encoder,decoder"].includes(String(found.halves)) || !Array.isArray(found.halves)) {
    throw new BundleError(
      `manifest: halves is ${shown(found.halves)}, expected encoder, decoder or both in this order`,
    );
  }
  checkFiles(found.files);
  checkLimits(found.limits);
  if (found.anomaly !== null) checkAnomaly(found.anomaly);
  checkObject(found.training, "training");
  if (found.precision !== undefined) checkPrecision(found.precision);
  checkParts(found.stream_id_parts);
  const manifest = /** @type {Manifest} */ (/** @type {unknown} */ (found));
  checkTogether(manifest);
  return manifest;
}

/** Rules that concern several fields. @param {Manifest} manifest */
function checkTogether(manifest) {
  const { family, prior, image, files, halves } = manifest;
  if ((family === "hyperprior") !== (prior.kind === "hyperprior"))
    throw new BundleError(`manifest: family ${family} cannot have a ${prior.kind} prior`);
  if (family === "dense" && !image.patched) throw new BundleError("manifest: family dense needs image.patched true");
  const missing = halves.flatMap((half) => filesOfHalf(manifest, half)).filter((name) => !Object.hasOwn(files, name));
  if (missing.length)
    throw new BundleError(`manifest: files lacks ${missing.join(", ")}, which this bundle needs; export it again`);
}

/** @param {unknown} value */
function checkImage(value) {
  const { channels, stride, patched } = checkKeys(value, "image", ["channels", "stride", "patched"]);
  if (channels !== 1 && channels !== 3)
    throw new BundleError(`manifest: image.channels is ${shown(channels)}, expected 1 or 3`);
  if (!Array.isArray(stride) || stride.length !== 2)
    throw new BundleError(`manifest: image.stride is ${shown(stride)}, expected two integers`);
  for (const item of stride) checkInteger(item, "image.stride", 1, MAX_DIMENSION);
  if (typeof patched !== "boolean")
    throw new BundleError(`manifest: image.patched is ${shown(patched)}, expected true or false`);
}

/** @param {unknown} value @param {number} channels of the latent */
function checkPrior(value, channels) {
  if (checkObject(value, "prior").kind !== "hyperprior") {
    checkChoice(checkKeys(value, "prior", ["kind"]).kind, "prior.kind", ["factorized", "hyperprior"]);
    return;
  }
  const prior = checkKeys(value, "prior", ["kind", "channels", "stride", "passes"], ["groups"]);
  checkInteger(prior.channels, "prior.channels", 1, MAX_CHANNELS);
  checkInteger(prior.stride, "prior.stride", 1, MAX_HYPER_STRIDE);
  checkInteger(prior.passes, "prior.passes", 1, 2);
  if (!("groups" in prior)) return;
  const { groups } = prior;
  if (!Array.isArray(groups) || groups.length < 1 || groups.length > MAX_GROUPS) {
    throw new BundleError(`manifest: prior.groups is ${shown(groups)}, expected a list of 1 to ${MAX_GROUPS} integers`);
  }
  for (const group of groups) checkInteger(group, "prior.groups", 1, MAX_CHANNELS);
  if (groups.reduce((sum, group) => sum + group, 0) !== channels) {
    throw new BundleError(`manifest: prior.groups do not sum to the ${channels} latent channels`);
  }
}

/** @param {unknown} value */
function checkFiles(value) {
  for (const [name, facts] of Object.entries(checkObject(value, "files"))) {
    if (!FILE_NAME.test(name) || name === "manifest.json")
      throw new BundleError(`manifest: file name ${shown(name)} is not allowed`);
    const { sha256, bytes } = checkKeys(facts, `files[${name}]`, ["sha256", "bytes"]);
    checkHash(sha256, `files[${name}].sha256`);
    checkInteger(bytes, `files[${name}].bytes`, 0, MAX_FILE_BYTES);
  }
}

/** @param {unknown} value */
function checkLimits(value) {
  const limits = checkKeys(value, "limits", ["max_pixels", "band_pixels", "overlap"]);
  checkInteger(limits.max_pixels, "limits.max_pixels", 1, MOST_PIXELS);
  checkInteger(limits.band_pixels, "limits.band_pixels", 1, MOST_PIXELS);
  checkInteger(limits.overlap, "limits.overlap", 0, MAX_DIMENSION);
}

/** @param {unknown} value */
function checkAnomaly(value) {
  const anomaly = checkKeys(value, "anomaly", ["score", "threshold", "false_positive_rate", "images"]);
  checkChoice(anomaly.score, "anomaly.score", ["mse"]);
  for (const key of ["threshold", "false_positive_rate"]) {
    if (typeof anomaly[key] !== "number" || anomaly[key] < 0 || anomaly[key] > 1) {
      throw new BundleError(`manifest: anomaly.${key} is ${shown(anomaly[key])}, expected a number in 0..1`);
    }
  }
  checkInteger(anomaly.images, "anomaly.images", 1, MOST_PIXELS);
}

/** @param {unknown} value */
function checkPrecision(value) {
  const precision = checkKeys(value, "precision", ["encoder", "decoder"]);
  for (const half of ["encoder", "decoder"])
    checkChoice(precision[half], `precision.${half}`, ["fp32", "fp16", "int8"]);
}

/** @param {unknown} value */
function checkParts(value) {
  const parts = checkKeys(value, "stream_id_parts", ["encoder", "prior", "tables", "geometry"]);
  for (const [key, part] of Object.entries(parts)) {
    if (key !== "prior" || part !== "") checkHash(part, `stream_id_parts.${key}`);
  }
}
