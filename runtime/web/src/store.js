/** Where the files of a bundle come from: an .aeb file, a folder on a web server, or a folder in Node. */
import { BundleError, ModelNotFoundError, messageOf } from "./errors.js";
import { readStoredZip } from "./zip.js";

const MANIFEST = "manifest.json";

/**
 * Read access to the files of a bundle.
 *
 * @typedef {object} Store
 * @property {string} place for messages
 * @property {boolean} whole whether all files are at hand, so that all can be checked at once
 * @property {(name: string, limit: number) => Promise<Uint8Array>} read at most `limit` bytes
 * @property {() => string[] | null} names of all files; null where others than the bundle's may be there
 */

/**
 * Open what a caller names.
 *
 * @param {string | URL | Blob | ArrayBuffer | Uint8Array} place an .aeb file as its bytes, a File or an address, or a
 *     folder by its address; an address is a URL, or, in Node, a path
 * @returns {Promise<Store>}
 * @throws {ModelNotFoundError} there is nothing.
 * @throws {BundleError} an .aeb file that breaks a rule.
 */
export async function openStore(place) {
  if (place instanceof Uint8Array) return zipStore(place, "bundle in memory");
  if (place instanceof ArrayBuffer) return zipStore(new Uint8Array(place), "bundle in memory");
  if (place instanceof Blob) {
    return zipStore(
      new Uint8Array(await place.arrayBuffer()),
      "name" in place ? String(place.name) : "bundle in memory",
    );
  }
  const path = await localPath(place);
  if (path !== null) return openPath(path);
  const url = new URL(place, globalThis.location?.href);
  if (url.pathname.endsWith(".aeb")) return zipStore(await download(url, Infinity), url.href);
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return {
    place: url.href,
    whole: false,
    read: (name, limit) => download(new URL(name, url), limit),
    names: () => null,
  };
}

/** @param {Uint8Array} data @param {string} place @returns {Store} */
function zipStore(data, place) {
  const files = readStoredZip(data);
  return {
    place,
    whole: true,
    names: () => [...files.keys()],
    read: async (name) => {
      const found = files.get(name);
      if (!found) throw new BundleError(`${place}: the zip holds no ${name}; get the bundle again`);
      return found;
    },
  };
}

/**
 * @param {URL} url
 * @param {number} limit
 */
async function download(url, limit) {
  const response = await fetch(url).catch((error) => {
    throw new ModelNotFoundError(`${url.href} cannot be fetched (${messageOf(error)})`);
  });
  if (!response.ok || !response.body) {
    const Missing = url.pathname.endsWith(MANIFEST) || url.pathname.endsWith(".aeb") ? ModelNotFoundError : BundleError;
    throw new Missing(`${url.href} cannot be fetched (HTTP status ${response.status}); expected a file of a bundle`);
  }
  const parts = [];
  let bytes = 0;
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    bytes += part.value.length;
    if (bytes > limit) {
      await reader.cancel();
      throw new BundleError(`${url.href} has more than the ${limit} bytes expected; copy the bundle again`);
    }
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/**
 * The path that an address means in Node; null in a browser, and for a URL of the web.
 *
 * @param {string | URL} place
 */
async function localPath(place) {
  if (!globalThis.process?.versions?.node) return null;
  const { fileURLToPath } = await import("node:url");
  if (place instanceof URL) return place.protocol === "file:" ? fileURLToPath(place) : null;
  if (place.startsWith("file:")) return fileURLToPath(place);
  return /^https?:/.test(place) ? null : place;
}

/** @param {string} path @returns {Promise<Store>} */
async function openPath(path) {
  const { join } = await import("node:path");
  const { stat, readFile } = await import("node:fs/promises");
  /** @param {string} file @returns {Promise<import("node:fs").Stats | null>} */
  const facts = (file) => stat(file).catch(() => null);
  const found = await facts(path);
  if (found?.isFile()) return zipStore(await readFile(path), path);
  if (!found?.isDirectory() || !(await facts(join(path, MANIFEST)))) {
    throw new ModelNotFoundError(`no bundle at ${path}; expected an .aeb file, or a folder with ${MANIFEST}`);
  }
  return {
    place: path,
    whole: true,
    names: () => null,
    read: async (name, limit) => {
      const file = join(path, name);
      const size = (await facts(file))?.size;
      if (size === undefined || size > limit || !(await facts(file))?.isFile()) {
        throw new BundleError(`${file} is not a plain file of at most ${limit} bytes; copy the bundle again`);
      }
      return readFile(file);
    },
  };
}
