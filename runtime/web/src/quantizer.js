/** From latents to symbols and back (FORMAT.md), in float32: Math.fround, or being stored, rounds every step. */
import { CERTAIN } from "./bank.js";

const { fround } = Math;

/** @typedef {import("./tables.js").Tables} Tables */

/**
 * The nearest integer, half to even. Exact for float32: a float64 holds x - floor(x) without loss.
 *
 * @param {number} x
 */
export function rint(x) {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1;
}

/**
 * Symbols of values in steps: 0 under a certain table and in the dead zone of any other.
 *
 * @param {Float32Array} wanted
 * @param {Uint8Array} index table of each
 * @param {Tables} tables
 * @param {number} most magnitude
 */
export function roundSymbols(wanted, index, { bank, deadZone }, most) {
  const symbols = new Int16Array(wanted.length);
  for (let i = 0; i < wanted.length; i++) {
    if (bank.kind[index[i]] === CERTAIN || Math.abs(wanted[i]) < deadZone[index[i]]) continue;
    symbols[i] = Math.max(-most, Math.min(most, rint(wanted[i])));
  }
  return symbols;
}

/**
 * Latents [n, c, area] in steps.
 *
 * @param {Float32Array} latents
 * @param {Tables} tables
 * @param {number} quality
 * @param {number} area
 */
export function inSteps(latents, { steps, offsets }, quality, area) {
  const channels = offsets.length;
  const found = new Float32Array(latents.length);
  for (let first = 0, plane = 0; first < latents.length; first += area, plane++) {
    const channel = plane % channels;
    const step = steps[(quality - 1) * channels + channel];
    const offset = offsets[channel];
    for (let i = first; i < first + area; i++) found[i] = fround(latents[i] - offset) / step;
  }
  return found;
}

/**
 * Latents that a decoder is given: offset + (symbol - shrink * sign(symbol) + mean) * step.
 *
 * @param {Int16Array} symbols [n, c, area]
 * @param {Float32Array | null} means [n, c, area], in steps; null for zeros
 * @param {Tables} tables
 * @param {number} quality
 * @param {number} area
 */
export function restoreLatents(symbols, means, { steps, offsets, shrink }, quality, area) {
  const channels = offsets.length;
  const latents = new Float32Array(symbols.length);
  for (let first = 0, plane = 0; first < symbols.length; first += area, plane++) {
    const channel = plane % channels;
    const row = (quality - 1) * channels + channel;
    const [step, pull, offset] = [steps[row], shrink[row], offsets[channel]];
    for (let i = first; i < first + area; i++) {
      const symbol = symbols[i];
      let value = symbol > 0 ? fround(symbol - pull) : symbol < 0 ? fround(symbol + pull) : 0;
      if (means) value = fround(value + means[i]);
      latents[i] = fround(value * step) + offset;
    }
  }
  return latents;
}
