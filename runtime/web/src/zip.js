/** Stored zip files: bundles in one file (`.aeb`) and the arrays of `entropy.npz`. */
import { viewOf } from "./bytes.js";
import { crc32 } from "./checksums.js";
import { BundleError } from "./errors.js";
import { MAX_FILES } from "./limits.js";

const [END, ENTRY, LOCAL] = [0x06054b50, 0x02014b50, 0x04034b50];
const [END_BYTES, ENTRY_BYTES, LOCAL_BYTES] = [22, 46, 30];
const ENCRYPTED = 1;
const [FILE_TYPE, REGULAR] = [0xf000, 0x8000];

/**
 * Files of a zip by name, as views of its bytes.
 *
 * @param {Uint8Array} data
 * @returns {Map<string, Uint8Array>}
 * @throws {BundleError} not a zip, or one with a comment, or an entry that is compressed, encrypted, damaged, a link or
 *     there twice.
 */
export function readStoredZip(data) {
  const view = viewOf(data);
  const end = data.length - END_BYTES;
  if (end < 0 || view.getUint32(end, true) !== END)
    throw new BundleError("not a zip file, or one with a comment or cut short");
  const count = view.getUint16(end + 10, true);
  if (count > MAX_FILES) throw new BundleError(`a zip of ${count} entries, expected at most ${MAX_FILES}`);
  const files = new Map();
  const checksums = [];
  let bytes = 0;
  let position = view.getUint32(end + 16, true);
  for (let i = 0; i < count; i++) {
    const entry = readEntry(data, view, position);
    if (files.has(entry.name)) throw new BundleError(`zip entry ${entry.name} comes twice`);
    bytes += entry.content.length; // entries may overlap: counted before any is read
    if (bytes > data.length) throw new BundleError("the entries of the zip are larger than the file");
    files.set(entry.name, entry.content);
    checksums.push(entry.crc);
    position = entry.next;
  }
  if (position !== end) throw new BundleError("the zip's directory does not end where it says");
  for (const [name, content] of files) {
    if (crc32(content) !== checksums.shift()) throw new BundleError(`zip entry ${name} is damaged`);
  }
  return files;
}

/**
 * @param {Uint8Array} data
 * @param {DataView} view
 * @param {number} position of the entry in the zip's directory
 */
function readEntry(data, view, position) {
  if (position + ENTRY_BYTES > data.length || view.getUint32(position, true) !== ENTRY) {
    throw new BundleError("the zip has no directory entry where it says");
  }
  const flags = view.getUint16(position + 8, true);
  const method = view.getUint16(position + 10, true);
  const [crc, packed, size] = [16, 20, 24].map((field) => view.getUint32(position + field, true));
  const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((field) => view.getUint16(position + field, true));
  const type = view.getUint16(position + 40, true) & FILE_TYPE;
  const local = view.getUint32(position + 42, true);
  const name = latin1(data.subarray(position + ENTRY_BYTES, position + ENTRY_BYTES + nameBytes));
  if (method || packed !== size || flags & ENCRYPTED)
    throw new BundleError(`zip entry ${name} is compressed or encrypted, expected stored`);
  if (type && type !== REGULAR) throw new BundleError(`zip entry ${name} is not a plain file`);
  const content = readContent(data, view, local, size, name);
  return { name, content, crc, next: position + ENTRY_BYTES + nameBytes + extraBytes + commentBytes };
}

/**
 * @param {Uint8Array} data
 * @param {DataView} view
 * @param {number} local position of the entry's own header
 * @param {number} size
 * @param {string} name
 */
function readContent(data, view, local, size, name) {
  if (local + LOCAL_BYTES > data.length || view.getUint32(local, true) !== LOCAL) {
    throw new BundleError(`zip entry ${name} is not where the zip says`);
  }
  const nameBytes = view.getUint16(local + 26, true);
  const start = local + LOCAL_BYTES + nameBytes + view.getUint16(local + 28, true);
  if (latin1(data.subarray(local + LOCAL_BYTES, local + LOCAL_BYTES + nameBytes)) !== name) {
    throw new BundleError(`zip entry ${name} has another name where it begins`);
  }
  if (start + size > data.length) throw new BundleError(`zip entry ${name} is cut short`);
  return data.subarray(start, start + size);
}

/** @param {Uint8Array} bytes of a name, all of them ASCII in a bundle */
function latin1(bytes) {
  return String.fromCharCode(...bytes.subarray(0, 1000));
}
