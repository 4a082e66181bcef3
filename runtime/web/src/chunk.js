/** The payload of a chunk (FORMAT.md, Chunk payload): coder header, words, and raw words for escapes and signs. */
import { CERTAIN, MAGNITUDE, OFFSET } from "./bank.js";
import { bytesOf16, concat } from "./bytes.js";
import { StreamError } from "./errors.js";
import { chooseLanes, readStates, writeStates } from "./lanes.js";
import { RansDecoder, pushPasses } from "./rans.js";

const LOWEST_STATE = 0x10000;
const NO_WORDS = new Uint16Array(0);
const GET_AGAIN = "the stream is damaged, get it again";

/** @typedef {import("./bank.js").Bank} Bank */

/**
 * Tables and symbols of the elements of one pass, in coding order.
 *
 * @typedef {object} Pass
 * @property {Uint8Array} tables
 * @property {Int16Array} symbols
 */

/**
 * A pass without its certain elements.
 *
 * @typedef {object} CodedPass
 * @property {Uint32Array} entries the bank's entry of every element
 * @property {Uint8Array} signed 1 for every element that has a sign bit
 * @property {Uint16Array} raw raw words
 */

/** Reads the passes of one chunk, in order. */
export class ChunkDecoder {
  /** @type {RansDecoder | null} null for an empty payload */
  #coder = null;
  #coded = 0;
  #bank;

  /**
   * @param {Uint8Array} payload
   * @param {Bank} bank
   * @throws {StreamError} the coder header is not as specified.
   */
  constructor(payload, bank) {
    this.#bank = bank;
    if (!payload.length) return;
    const { states, zeroStart, words } = readStates(payload);
    this.#coder = new RansDecoder(states, words, zeroStart);
  }

  /**
   * Symbols of the next pass.
   *
   * @param {Uint8Array} tables of every element
   * @param {boolean} last whether it is the chunk's last pass
   * @returns {Int16Array}
   * @throws {StreamError} the payload breaks a rule of the format.
   */
  decode(tables, last) {
    const symbols = new Int16Array(tables.length);
    if (this.#coder) {
      const { tokens, coded } = this.#coder.pop(tables, this.#bank);
      this.#coded += coded;
      this.#fill(symbols, tables, tokens, last);
    } else if (tables.some((table) => this.#bank.kind[table] !== CERTAIN)) {
      throw new StreamError(`chunk: an empty payload for coded symbols; ${GET_AGAIN}`);
    }
    if (last && this.#coder && !this.#coded)
      throw new StreamError("chunk: a payload where every symbol is certain, expected none; the stream is damaged");
    return symbols;
  }

  /**
   * Turn tokens, and the raw words of the pass, into symbols.
   *
   * @param {Int16Array} symbols
   * @param {Uint8Array} tables
   * @param {Uint8Array} tokens
   * @param {boolean} last
   */
  #fill(symbols, tables, tokens, last) {
    const { kind, sizes, minimum } = this.#bank;
    const [escaped, signed] = [/** @type {number[]} */ ([]), /** @type {number[]} */ ([])];
    for (let i = 0; i < tables.length; i++) {
      const table = tables[i];
      if (kind[table] === CERTAIN) continue;
      const token = tokens[i];
      if (token === sizes[table] - 1) escaped.push(i);
      else if (kind[table] === OFFSET) symbols[i] = minimum[table] + token;
      else if (token) {
        symbols[i] = token;
        signed.push(i);
      }
    }
    const raw = this.#rawWords(escaped.length + Math.ceil(signed.length / 16), last);
    escaped.forEach((i, k) => (symbols[i] = this.#escape(tables[i], raw[k])));
    signed.forEach((i, k) => {
      if ((raw[escaped.length + (k >> 4)] >> (k & 15)) & 1) symbols[i] = -symbols[i];
    });
    if (signed.length % 16 && raw[raw.length - 1] >> (signed.length % 16)) {
      throw new StreamError(`chunk: the padding of the sign bits is not zero; ${GET_AGAIN}`);
    }
  }

  /** @param {number} table @param {number} word */
  #escape(table, word) {
    const symbol = (word << 16) >> 16;
    if (symbol === -32768)
      throw new StreamError("chunk: an escaped symbol of -32768, expected -32767..32767; the stream is damaged");
    if (this.#bank.holds(table, symbol))
      throw new StreamError(`chunk: an escaped symbol that its table holds; ${GET_AGAIN}`);
    return symbol;
  }

  /**
   * Raw words of a pass: from the back, or, for the last pass, out of the final states and all that is left.
   *
   * @param {number} count
   * @param {boolean} last
   */
  #rawWords(count, last) {
    const coder = this.#coder;
    if (!coder) return NO_WORDS;
    if (count && coder.zeroStart)
      throw new StreamError(`chunk: raw words with a lane that starts from 0; ${GET_AGAIN}`);
    const left = coder.end - coder.position;
    if (!last) {
      if (count > left) throw new StreamError(`chunk: ${left} words left for ${count} raw words; ${GET_AGAIN}`);
      coder.end -= count;
      return coder.words.subarray(coder.end, coder.end + count);
    }
    const hidden = Math.min(count, coder.states.length);
    if (left !== count - hidden)
      throw new StreamError(`chunk: ${left} words left, expected ${count - hidden}; ${GET_AGAIN}`);
    const raw = new Uint16Array(count);
    coder.states.forEach((state, lane) => {
      const word = state - (coder.zeroStart ? 0 : LOWEST_STATE);
      if (word < 0 || word > 0xffff || (lane >= hidden && word)) {
        throw new StreamError(`chunk: the coder does not end in its start state; ${GET_AGAIN}`);
      }
      if (lane < hidden) raw[lane] = word;
    });
    raw.set(coder.words.subarray(coder.position, coder.end), hidden);
    return raw;
  }
}

/**
 * The payload of a chunk.
 *
 * @param {readonly Pass[]} passes
 * @param {Bank} bank
 */
export function encodeChunk(passes, bank) {
  const coded = passes.map((pass) => codedPass(pass, bank));
  if (coded.every(({ entries }) => !entries.length)) return new Uint8Array(0);
  const lanes = chooseLanes(coded, bank.frequencies);
  if (lanes === 1 && coded.every(({ raw }) => !raw.length)) {
    const states = Uint32Array.of(0);
    const words = pushPasses(states, coded, bank);
    if (states[0] >= LOWEST_STATE) return concat([writeStates(states, true), bytesOf16(words)]);
  }
  const hidden = coded[coded.length - 1].raw;
  const states = Uint32Array.from({ length: lanes }, (_, lane) => LOWEST_STATE + (hidden[lane] ?? 0));
  const words = pushPasses(states, coded, bank);
  const raw = [
    hidden.subarray(lanes),
    ...coded
      .slice(0, -1)
      .reverse()
      .map((pass) => pass.raw),
  ];
  return concat([writeStates(states, false), ...[words, ...raw].map(bytesOf16)]);
}

/**
 * @param {Pass} pass
 * @param {Bank} bank
 * @returns {CodedPass}
 */
function codedPass({ tables, symbols }, bank) {
  const entries = new Uint32Array(tables.length);
  const signed = new Uint8Array(tables.length);
  const [escapes, signs] = [/** @type {number[]} */ ([]), /** @type {boolean[]} */ ([])];
  let count = 0;
  for (let i = 0; i < tables.length; i++) {
    const [table, symbol] = [tables[i], symbols[i]];
    if (bank.kind[table] === CERTAIN) continue;
    let token = bank.sizes[table] - 1;
    if (!bank.holds(table, symbol)) escapes.push(symbol);
    else if (bank.kind[table] === MAGNITUDE) {
      token = Math.abs(symbol);
      if (token) signs.push(symbol < 0);
      signed[count] = token ? 1 : 0;
    } else token = symbol - bank.minimum[table];
    entries[count++] = table * bank.columns + token;
  }
  return { entries: entries.subarray(0, count), signed, raw: rawWords(escapes, signs) };
}

/** @param {readonly number[]} escapes @param {readonly boolean[]} signs true for negative */
function rawWords(escapes, signs) {
  const raw = new Uint16Array(escapes.length + Math.ceil(signs.length / 16));
  raw.set(escapes);
  signs.forEach((negative, k) => {
    if (negative) raw[escapes.length + (k >> 4)] |= 1 << (k & 15);
  });
  return raw;
}
