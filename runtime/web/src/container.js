/** The container (FORMAT.md, Stream): header, sections, chunks and checksums. None of it needs a model. */
import { Cursor, DAMAGED, concat, pushVarint, viewOf } from "./bytes.js";
import { crc16, crc32, fromHex, toHex } from "./checksums.js";
import { ArgumentError, StreamError, UnsupportedStreamError } from "./errors.js";
import { MAX_CHUNKS, MAX_COUNT, MAX_DIMENSION, MAX_SECTION_BYTES, MAX_STREAM_BYTES, QUALITIES } from "./limits.js";

export const [ALPHA, ICC, EXIF, NAMES, TILES, BOUND] = [1, 2, 3, 4, 5, 6];

const SIGNATURE = [0xae, 0x45, 0x44];
const VERSION = 1;
const STREAM_ID_BYTES = 8;
const [FLAG_SECTIONS, FLAG_GRAY] = [1, 2];
const TRAILER_BYTES = 8;
const LEAST_BYTES = 28; // one image in one empty chunk
const FIRST_SKIPPABLE_SECTION = 128;

/**
 * What a stream says about itself.
 *
 * @typedef {object} Header
 * @property {string} streamId 16 hexadecimal digits, the latent space
 * @property {number} quality 1..100
 * @property {number} count images
 * @property {number} width pixels of each
 * @property {number} height pixels of each
 * @property {boolean} gray pictures are to be written as gray
 */

/**
 * A stream whose checksums and ranges have been checked; its sections and chunks are views of its bytes.
 *
 * @implements {Header}
 */
export class Stream {
  /** @type {number[]} Bytes of every chunk but the last. */
  #lengths;
  #data;
  #firstChunk;

  /** @param {Uint8Array} data */
  constructor(data) {
    checkOutside(data);
    const cursor = new Cursor(data, SIGNATURE.length + 2, data.length - TRAILER_BYTES);
    this.gray = (data[4] & FLAG_GRAY) !== 0;
    this.streamId = toHex(cursor.take(STREAM_ID_BYTES, "stream id"));
    this.quality = cursor.byte("quality");
    this.count = cursor.varint("image count");
    this.width = cursor.varint("width");
    this.height = cursor.varint("height");
    this.chunks = cursor.varint("chunk count");
    if (!this.chunks) throw new StreamError(`stream: no chunk, expected at least one; ${DAMAGED}`);
    if (this.chunks > MAX_CHUNKS || this.chunks - 1 > cursor.left()) {
      throw new StreamError(`stream: ${this.chunks} chunks in ${cursor.left()} bytes; ${DAMAGED}`);
    }
    this.#lengths = Array.from({ length: this.chunks - 1 }, () => cursor.varint("chunk length"));
    const table = data[4] & FLAG_SECTIONS ? readSectionTable(cursor) : [];
    const check = crc16(data.subarray(0, cursor.position));
    if (check !== viewOf(cursor.take(2, "header check")).getUint16(0, true)) {
      throw new StreamError(`stream: the header does not match its check; ${DAMAGED}`);
    }
    const bytes = [...table.values(), ...this.#lengths].reduce((sum, size) => sum + size, 0);
    if (bytes > cursor.left()) {
      throw new StreamError(
        `stream: sections and chunks are longer than the stream by ${bytes - cursor.left()} bytes; ${DAMAGED}`,
      );
    }
    checkRanges(this);
    /** @type {Map<number, Uint8Array>} By id, ascending. */
    this.sections = new Map([...table].map(([id, size]) => [id, cursor.take(size, "section")]));
    this.symbolHash = viewOf(data).getUint32(data.length - TRAILER_BYTES, true);
    this.totalBytes = data.length;
    this.payloadBytes = cursor.left();
    this.#data = data;
    this.#firstChunk = cursor.position;
  }

  /** Payloads of all chunks, in order. */
  *payloads() {
    let position = this.#firstChunk;
    for (const length of this.#lengths) {
      yield this.#data.subarray(position, position + length);
      position += length;
    }
    yield this.#data.subarray(position, this.#data.length - TRAILER_BYTES);
  }
}

/**
 * The bytes of a stream.
 *
 * @param {Header} header
 * @param {ReadonlyMap<number, Uint8Array>} sections by id, ascending
 * @param {readonly Uint8Array[]} chunks
 * @param {number} symbolHash
 */
export function writeStream(header, sections, chunks, symbolHash) {
  const flags = (sections.size ? FLAG_SECTIONS : 0) | (header.gray ? FLAG_GRAY : 0);
  const bytes = [...SIGNATURE, VERSION, flags, ...fromHex(header.streamId), header.quality];
  for (const value of [header.count, header.width, header.height, chunks.length]) pushVarint(bytes, value);
  for (const chunk of chunks.slice(0, -1)) pushVarint(bytes, chunk.length);
  if (sections.size) pushVarint(bytes, sections.size);
  for (const [id, data] of sections) {
    bytes.push(id);
    pushVarint(bytes, data.length);
  }
  const check = crc16(Uint8Array.from(bytes));
  bytes.push(check & 255, check >> 8);
  const whole = concat([Uint8Array.from(bytes), ...sections.values(), ...chunks, new Uint8Array(TRAILER_BYTES)]);
  const view = viewOf(whole);
  view.setUint32(whole.length - TRAILER_BYTES, symbolHash, true);
  view.setUint32(whole.length - 4, crc32(whole.subarray(0, -4)), true);
  return whole;
}

/** @param {number} id */
function isKnownSection(id) {
  return (id >= ALPHA && id <= BOUND) || id >= FIRST_SKIPPABLE_SECTION;
}

/**
 * Signature, version, length, checksum and flags: what is checked before any field is read.
 *
 * @param {Uint8Array} data
 */
function checkOutside(data) {
  if (!(data instanceof Uint8Array)) throw new ArgumentError(`stream: found ${typeof data}, expected a Uint8Array`);
  if (!data.length || SIGNATURE.some((byte, i) => i < data.length && data[i] !== byte)) {
    throw new StreamError("not an aeedge stream: it does not start with the signature of an .aee file");
  }
  if (data.length > 3 && data[3] !== VERSION) {
    throw new UnsupportedStreamError(
      `stream of version ${data[3]}, this reader knows version ${VERSION}; update aeedge`,
    );
  }
  if (data.length < LEAST_BYTES || data.length > MAX_STREAM_BYTES) {
    throw new StreamError(`stream: ${data.length} bytes, expected ${LEAST_BYTES}..${MAX_STREAM_BYTES}; ${DAMAGED}`);
  }
  if (crc32(data.subarray(0, -4)) !== viewOf(data).getUint32(data.length - 4, true)) {
    throw new StreamError(`stream: the bytes do not match their checksum; ${DAMAGED}`);
  }
  if (data[4] & ~(FLAG_SECTIONS | FLAG_GRAY)) {
    throw new UnsupportedStreamError(`stream with unknown flags 0x${data[4].toString(16)}; update aeedge`);
  }
}

/**
 * Length of each section by its id.
 *
 * @param {Cursor} cursor
 * @returns {Map<number, number>}
 */
function readSectionTable(cursor) {
  const table = new Map();
  const count = cursor.varint("section count");
  if (count < 1 || count > 255) throw new StreamError(`stream: ${count} sections, expected 1..255; ${DAMAGED}`);
  for (let i = 0, before = -1; i < count; i++) {
    const id = cursor.byte("section id");
    if (id <= before)
      throw new StreamError(`stream: section ${id} after section ${before}, expected ascending; ${DAMAGED}`);
    if (!isKnownSection(id)) throw new UnsupportedStreamError(`stream with unknown section ${id}; update aeedge`);
    const size = cursor.varint("section length");
    const most = id === TILES || id === BOUND ? MAX_STREAM_BYTES : MAX_SECTION_BYTES; // pixels take more than metadata
    if (size < 1 || size > most)
      throw new StreamError(`stream: section ${id} of ${size} bytes, expected 1..${most}; ${DAMAGED}`);
    table.set(id, size);
    before = id;
  }
  return table;
}

/** @param {Header} header */
function checkRanges({ quality, count, width, height }) {
  const limits = {
    quality: [quality, QUALITIES],
    count: [count, MAX_COUNT],
    width: [width, MAX_DIMENSION],
    height: [height, MAX_DIMENSION],
  };
  for (const [name, [value, most]] of Object.entries(limits)) {
    if (value < 1 || value > most) throw new StreamError(`stream: ${name} ${value}, expected 1..${most}; ${DAMAGED}`);
  }
}
