/** Streams and bundles that lie, with checksums and hashes that are right. */
import { readFile, readdir } from "node:fs/promises";

import { concat, pushVarint, viewOf } from "../src/bytes.js";
import { crc16, crc32, fromHex, sha256 } from "../src/checksums.js";
import { geometryHash, streamId, tablesHash } from "../src/identity.js";
import { readArrays } from "../src/tables.js";
import { TINY } from "./fixtures.js";

/**
 * The fields of a stream, each free to lie.
 *
 * @typedef {object} Fields
 * @property {number} [flags]
 * @property {string} streamId
 * @property {number} [quality]
 * @property {number} [count]
 * @property {number} [width]
 * @property {number} [height]
 * @property {number} [chunks]
 * @property {number[]} [lengths]
 * @property {[number, number][]} [table] ids and lengths of sections
 * @property {Uint8Array} [body]
 * @property {number} [symbolHash]
 */

/** @param {Fields} fields */
export function seal({
  flags = 0,
  streamId,
  quality = 50,
  count = 1,
  width = 8,
  height = 8,
  chunks = 1,
  lengths = [],
  table = [],
  body = new Uint8Array(0),
  symbolHash = 0,
}) {
  const header = [0xae, 0x45, 0x44, 1, flags | (table.length ? 1 : 0), ...fromHex(streamId), quality];
  for (const value of [count, width, height, chunks, ...lengths]) pushVarint(header, value);
  if (table.length) pushVarint(header, table.length);
  for (const [id, size] of table) {
    header.push(id);
    pushVarint(header, size);
  }
  return sealBytes(Uint8Array.from(header), body, symbolHash);
}

/** @param {Uint8Array} header @param {Uint8Array} body @param {number} symbolHash */
export function sealBytes(header, body, symbolHash) {
  const check = crc16(header);
  const data = concat([header, Uint8Array.of(check & 255, check >> 8), body, new Uint8Array(8)]);
  viewOf(data).setUint32(data.length - 8, symbolHash, true);
  return sealed(data);
}

/** The bytes with a checksum that fits. @param {Uint8Array} data */
export function sealed(data) {
  viewOf(data).setUint32(data.length - 4, crc32(data.subarray(0, -4)), true);
  return data;
}

/** @typedef {Map<string, Uint8Array>} Files */

/** The files of a tiny bundle. @param {string} name @returns {Promise<Files>} */
export async function filesOf(name) {
  const folder = new URL(`${name}/`, TINY);
  const names = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = names
    .filter((entry) => entry.isFile())
    .map(({ path, name: file }) => (path.endsWith("golden") ? `golden/${file}` : file));
  return new Map(
    await Promise.all(
      files.map(
        async (file) =>
          /** @type {[string, Uint8Array]} */ ([file, new Uint8Array(await readFile(new URL(file, folder)))]),
      ),
    ),
  );
}

/**
 * Change the manifest of a bundle.
 *
 * @param {Files} files
 * @param {(manifest: any) => any} change the manifest, or its text
 */
export async function withManifest(files, change) {
  const manifest = JSON.parse(new TextDecoder().decode(files.get("manifest.json")));
  const changed = change(manifest) ?? manifest;
  if (typeof changed === "object") await rehash(files, changed);
  const text = typeof changed === "string" ? changed : JSON.stringify(changed);
  return new Map(files).set("manifest.json", new TextEncoder().encode(text));
}

/**
 * Make all hashes of a manifest right again, so that only the lie is left.
 *
 * @param {Files} files
 * @param {any} manifest
 */
async function rehash(files, manifest) {
  for (const [name, facts] of Object.entries(manifest.files ?? {})) {
    const data = files.get(name);
    if (data && facts) Object.assign(facts, { bytes: data.length, sha256: await sha256(data) });
  }
  try {
    manifest.stream_id_parts.geometry = await geometryHash(manifest);
    manifest.stream_id_parts.tables = await tablesHash(
      readArrays(/** @type {Uint8Array} */ (files.get("entropy.npz"))),
    );
    manifest.stream_id = await streamId(manifest.stream_id_parts);
  } catch {
    // what has lost its shape has no hashes to be right
  }
}

/**
 * A zip file.
 *
 * @param {Iterable<[string, Uint8Array]>} files
 * @param {{method?: number, comment?: string, attributes?: number}} [lies]
 */
export function zipOf(files, { method = 0, comment = "", attributes = 0 } = {}) {
  const [parts, directory] = [/** @type {Uint8Array[]} */ ([]), /** @type {Uint8Array[]} */ ([])];
  let offset = 0;
  for (const [name, data] of files) {
    const title = new TextEncoder().encode(name);
    const [local, entry] = [new Uint8Array(30), new Uint8Array(46)];
    for (const [header, signature, at] of /** @type {const} */ ([
      [local, 0x04034b50, 8],
      [entry, 0x02014b50, 10],
    ])) {
      const view = viewOf(header);
      view.setUint32(0, signature, true);
      view.setUint16(at, method, true);
      view.setUint32(at + 6, crc32(data), true);
      view.setUint32(at + 10, data.length, true);
      view.setUint32(at + 14, data.length, true);
      view.setUint16(at + 18, title.length, true);
    }
    viewOf(entry).setUint32(38, attributes, true);
    viewOf(entry).setUint32(42, offset, true);
    parts.push(local, title, data);
    directory.push(entry, title);
    offset += 30 + title.length + data.length;
  }
  const end = new Uint8Array(22);
  const view = viewOf(end);
  view.setUint32(0, 0x06054b50, true);
  view.setUint16(8, directory.length / 2, true);
  view.setUint16(10, directory.length / 2, true);
  view.setUint32(
    12,
    directory.reduce((sum, part) => sum + part.length, 0),
    true,
  );
  view.setUint32(16, offset, true);
  view.setUint16(20, comment.length, true);
  return concat([...parts, ...directory, end, new TextEncoder().encode(comment)]);
}
