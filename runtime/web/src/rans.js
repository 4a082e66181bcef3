/**
 * The interleaved range coder (FORMAT.md, Coder): 32-bit states, 16-bit words, one state per lane.
 *
 * Element i of a pass belongs to lane i mod L. It is a stack: an encoder pushes the last element first, a decoder pops
 * the first one first. (Asymmetric numeral systems, arXiv 1311.2540; interleaved entropy coders, arXiv 1402.3392.)
 */
import { CERTAIN, PRECISION_BITS, TOTAL } from "./bank.js";
import { StreamError } from "./errors.js";
import { MAX_STEPS } from "./limits.js";

const LOWEST_STATE = 0x10000;

/** Pops tokens of one chunk. The words not read yet are words[position] to words[end - 1]; a caller may lower `end`. */
export class RansDecoder {
  /**
   * @param {Uint32Array} states
   * @param {Uint16Array} words
   * @param {boolean} zeroStart the one lane started from state 0: without words left the state may fall below 2^16
   */
  constructor(states, words, zeroStart) {
    this.states = states;
    this.words = words;
    this.position = 0;
    this.end = words.length;
    this.zeroStart = zeroStart;
  }

  /**
   * Tokens of a pass; of elements with a certain table, nothing is popped and the token is 0.
   *
   * @param {Uint8Array} tables
   * @param {import("./bank.js").Bank} bank
   * @returns {{tokens: Uint8Array, coded: number}} and the number of coded elements
   * @throws {StreamError} the words end too early, or the pass has too many elements for the lanes.
   */
  pop(tables, bank) {
    const { states, words, end } = this;
    const { kind, frequencies, cumulatives, columns } = bank;
    const lanes = states.length;
    const most = lanes * MAX_STEPS;
    const tokens = new Uint8Array(tables.length);
    let { position } = this;
    let coded = 0;
    for (let i = 0; i < tables.length; i++) {
      const table = tables[i];
      if (kind[table] === CERTAIN) continue;
      if (coded === most)
        throw new StreamError(`chunk: more than ${most} symbols in a pass of ${lanes} lanes; the stream is damaged`);
      const lane = coded++ & (lanes - 1);
      const slot = states[lane] & (TOTAL - 1);
      const token = (tokens[i] = bank.slots(table)[slot]);
      const entry = table * columns + token;
      let state = frequencies[entry] * (states[lane] >>> PRECISION_BITS) + slot - cumulatives[entry];
      if (state < LOWEST_STATE) {
        if (position < end) state = state * LOWEST_STATE + words[position++];
        else if (!this.zeroStart)
          throw new StreamError("chunk: the coder needs more words than there are; the stream is damaged");
      }
      states[lane] = state;
    }
    this.position = position;
    return { tokens, coded };
  }
}

/**
 * Push all passes of a chunk, the last one first.
 *
 * @param {Uint32Array} states the start states; they become the final ones
 * @param {readonly {entries: Uint32Array}[]} passes the bank's entry of every coded element
 * @param {import("./bank.js").Bank} bank
 * @returns {Uint16Array} words in the order in which a decoder reads them
 */
export function pushPasses(states, passes, { frequencies, cumulatives }) {
  const lanes = states.length;
  const words = new Uint16Array(passes.reduce((sum, { entries }) => sum + entries.length, 0)); // at most one each
  let first = words.length;
  for (let pass = passes.length - 1; pass >= 0; pass--) {
    const { entries } = passes[pass];
    for (let i = entries.length - 1; i >= 0; i--) {
      const frequency = frequencies[entries[i]];
      let state = states[i & (lanes - 1)];
      if (state >= 2 ** (32 - PRECISION_BITS) * frequency) {
        words[--first] = state & 0xffff;
        state >>>= 16;
      }
      const quotient = Math.floor(state / frequency);
      states[i & (lanes - 1)] = TOTAL * quotient + (state - quotient * frequency) + cumulatives[entries[i]];
    }
  }
  return words.subarray(first);
}
