/** A bundle: one model as files with hashes. Every byte is checked against the manifest before it is used. */
import { sha256 } from "./checksums.js";
import { BundleError, MissingHalfError } from "./errors.js";
import { tablesHash } from "./identity.js";
import { MAX_MANIFEST_BYTES } from "./limits.js";
import { readManifest } from "./manifest.js";
import { openStore } from "./store.js";
import { readArrays, tablesOf } from "./tables.js";
import { checkWeights } from "./weights.js";

/** @typedef {import("./manifest.js").Manifest} Manifest */
/** @typedef {import("./manifest.js").Half} Half */
/** @typedef {import("./store.js").Store} Store */

export class Bundle {
  #store;

  /**
   * @param {Store} store
   * @param {Manifest} manifest
   * @param {import("./tables.js").Tables} tables
   */
  constructor(store, manifest, tables) {
    this.#store = store;
    this.manifest = manifest;
    this.tables = tables;
    /** @type {import("./layout.js").Geometry} */
    this.geometry = {
      stride: manifest.image.stride,
      channels: manifest.latent.channels,
      hyperStride: manifest.prior.kind === "hyperprior" ? manifest.prior.stride : 1,
    };
  }

  /**
   * Load and check a bundle. Files that are at hand (an .aeb file, a folder in Node) are checked now; from a web server
   * each is fetched and checked when it is first used.
   *
   * @param {Parameters<typeof openStore>[0]} place
   * @throws {import("./errors.js").ModelNotFoundError} there is none.
   * @throws {BundleError} a file is damaged, forged, missing, or not part of the bundle; or a weight is not finite.
   */
  static async load(place) {
    const store = await openStore(place);
    const manifest = await readManifest(await store.read("manifest.json", MAX_MANIFEST_BYTES));
    for (const name of store.names() ?? []) {
      if (name !== "manifest.json" && !Object.hasOwn(manifest.files, name)) {
        throw new BundleError(
          `${store.place}: the zip holds ${name}, which its manifest does not list; get the bundle again`,
        );
      }
    }
    const arrays = readArrays(await readChecked(store, manifest, "entropy.npz"));
    if ((await tablesHash(arrays)) !== manifest.stream_id_parts.tables) {
      throw new BundleError(`${store.place}: the tables are not those of its stream id; export the bundle again`);
    }
    const bundle = new Bundle(store, manifest, tablesOf(arrays, manifest));
    if (store.whole) await bundle.#checkFiles();
    return bundle;
  }

  get streamId() {
    return this.manifest.stream_id;
  }

  toString() {
    return `bundle ${JSON.stringify(this.manifest.name)} (${this.#store.place})`;
  }

  /**
   * Bytes of a file, equal to what was exported.
   *
   * @param {string} name
   */
  read(name) {
    return readChecked(this.#store, this.manifest, name);
  }

  /**
   * Bytes of a graph, with finite weights, all inside the file.
   *
   * @param {string} name
   */
  async graph(name) {
    const data = await this.read(name);
    checkWeights(data, name);
    return data;
  }

  /** Names of the golden streams, the smallest first. */
  goldenStreams() {
    const { files } = this.manifest;
    const names = Object.keys(files).filter((name) => /^golden\/.*\.aee$/.test(name));
    return names.sort((a, b) => files[a].bytes - files[b].bytes);
  }

  /**
   * @param {Half} half
   * @param {string} action
   * @throws {MissingHalfError} the bundle holds only the other half.
   */
  require(half, action) {
    if (!this.manifest.halves.includes(half))
      throw new MissingHalfError(`${this} holds no ${half}, which ${action} needs; use the whole bundle`);
  }

  async #checkFiles() {
    for (const name of Object.keys(this.manifest.files))
      await (name.endsWith(".onnx") ? this.graph(name) : this.read(name));
  }
}

/**
 * @param {Store} store
 * @param {Manifest} manifest
 * @param {string} name
 */
async function readChecked(store, manifest, name) {
  if (!Object.hasOwn(manifest.files, name)) throw new BundleError(`${store.place} holds no ${name}`);
  const facts = manifest.files[name];
  const data = await store.read(name, facts.bytes);
  if (data.length !== facts.bytes || (await sha256(data)) !== facts.sha256) {
    throw new BundleError(
      `${store.place}: ${name} is not the file that was exported (SHA-256 differs); get the bundle again`,
    );
  }
  return data;
}
