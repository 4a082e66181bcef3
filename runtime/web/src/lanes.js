/** The coder header of a chunk (FORMAT.md, Chunk payload): how many lanes, and the state of each. */
import { TOTAL } from "./bank.js";
import { wordsOf } from "./bytes.js";
import { StreamError } from "./errors.js";
import { MAX_LANES, MAX_STEPS } from "./limits.js";

/** In place of log2(lanes): one lane that starts from state 0. */
const ZERO_START = 12;
/** What lanes may cost, as a share of the payload, while more steps than so many are left. */
const LANE_SHARES = [
  [1000, 0.0125],
  [400, 0.0095],
  [0, 0.0085],
];
/** Fewer steps than this gain no time in a decoder that works in steps of all lanes. */
const LEAST_STEPS = 8;
/** Entries of a pass that are looked at to estimate what all of it costs. */
const SAMPLE = 4096;

/**
 * @param {Uint8Array} payload not empty
 * @returns {{states: Uint32Array, zeroStart: boolean, words: Uint16Array}}
 * @throws {StreamError} cut short, unknown lanes, padding that is not zero, or half a word at the end.
 */
export function readStates(payload) {
  const mode = payload[0] & 15;
  if (mode > ZERO_START)
    throw new StreamError(`chunk: lane code ${mode}, expected 0..${ZERO_START}; the stream is damaged, get it again`);
  const lanes = mode === ZERO_START ? 1 : 1 << mode;
  const tooShort = `chunk: ${payload.length} bytes cannot hold ${lanes} lanes; the stream is cut short, get it again`;
  if (payload.length < Math.ceil((4 + 4 * lanes) / 8) + 2 * lanes) throw new StreamError(tooShort);
  let bit = 4;
  /** @param {number} count */
  const take = (count) => {
    let value = 0;
    for (let i = 0; i < count; i++, bit++) value |= ((payload[bit >> 3] >> (bit & 7)) & 1) << i;
    return value;
  };
  const exponents = Uint8Array.from({ length: lanes }, () => take(4));
  const used = Math.ceil((bit + exponents.reduce((sum, exponent) => sum + exponent, 0)) / 8);
  if (used + 2 * lanes > payload.length) throw new StreamError(tooShort);
  if ((payload.length - used) % 2)
    throw new StreamError("chunk: half a word at the end; the stream is damaged, get it again");
  const high = Uint32Array.from(exponents, (exponent) => 2 ** exponent + take(exponent));
  if (take(8 * used - bit))
    throw new StreamError("chunk: the padding of the coder header is not zero; the stream is damaged, get it again");
  const words = wordsOf(payload.subarray(used));
  const states = high.map((value, lane) => value * 65536 + words[lane]);
  return { states, zeroStart: mode === ZERO_START, words: words.subarray(lanes) };
}

/**
 * @param {Uint32Array} states each at least 2^16
 * @param {boolean} zeroStart
 */
export function writeStates(states, zeroStart) {
  const exponents = Array.from(states, (state) => 31 - Math.clz32(state >>> 16));
  const bits = 4 + exponents.reduce((sum, exponent) => sum + 4 + exponent, 0);
  const header = new Uint8Array(Math.ceil(bits / 8) + 2 * states.length);
  let bit = 0;
  /** @param {number} value @param {number} count */
  const put = (value, count) => {
    for (let i = 0; i < count; i++, bit++) header[bit >> 3] |= ((value >> i) & 1) << (bit & 7);
  };
  put(zeroStart ? ZERO_START : Math.log2(states.length), 4);
  for (const exponent of exponents) put(exponent, 4);
  states.forEach((state, lane) => put((state >>> 16) - 2 ** exponents[lane], exponents[lane]));
  states.forEach((state, lane) => {
    header[header.length - 2 * (states.length - lane)] = state & 255;
    header[header.length - 2 * (states.length - lane) + 1] = (state >>> 8) & 255;
  });
  return header;
}

/**
 * Lanes for some passes: as many as the payload pays for and its length can use. aeedge_runtime chooses the same, so
 * that equal symbols give equal bytes.
 *
 * @param {readonly import("./chunk.js").CodedPass[]} passes
 * @param {Uint16Array} frequencies by entry
 */
export function chooseLanes(passes, frequencies) {
  const longest = Math.max(...passes.map(({ entries }) => entries.length));
  const together = passes.reduce((sum, { entries }) => sum + entries.length, 0);
  const hidden = passes[passes.length - 1].raw.length;
  const bits = passes.reduce((sum, pass) => sum + estimateBits(pass, frequencies), 0);
  let lanes = 1;
  while (lanes * MAX_STEPS < longest) lanes *= 2;
  for (; lanes < MAX_LANES && 2 * lanes * LEAST_STEPS <= longest; lanes *= 2) {
    const [, share] = /** @type {[number, number]} */ (LANE_SHARES.find(([steps]) => together > steps * lanes));
    if (4 * 2 * lanes + 16 * Math.max(2 * lanes - hidden, 0) > share * bits) break;
  }
  return lanes;
}

/** @param {import("./chunk.js").CodedPass} pass @param {Uint16Array} frequencies */
function estimateBits({ entries, signed }, frequencies) {
  const step = Math.max(Math.ceil(entries.length / SAMPLE), 1);
  let bits = 0;
  for (let i = 0; i < entries.length; i += step) bits += Math.log2(TOTAL / frequencies[entries[i]]) + signed[i];
  return bits * step;
}
