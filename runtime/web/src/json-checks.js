/** Checks of values that came as JSON: each names the field and what was expected of it. */
import { BundleError } from "./errors.js";

const HASH = /^[0-9a-f]{64}$/;

/**
 * @param {unknown} value
 * @param {string} where
 * @returns {Record<string, any>}
 */
export function checkObject(value, where) {
  if (!value || typeof value !== "object" || Array.isArray(value))
    throw new BundleError(`${where}: found ${shown(value)}, expected an object`);
  return value;
}

/**
 * @param {unknown} value
 * @param {string} where
 * @param {readonly string[]} required
 * @param {readonly string[]} [optional]
 */
export function checkKeys(value, where, required, optional = []) {
  const found = checkObject(value, where);
  for (const key of required) if (!Object.hasOwn(found, key)) throw new BundleError(`${where}: missing key ${key}`);
  for (const key of Object.keys(found)) {
    if (!required.includes(key) && !optional.includes(key))
      throw new BundleError(`${where}: unknown key ${shown(key)}`);
  }
  return found;
}

/** @param {unknown} value @param {string} where @param {number} low @param {number} high */
export function checkInteger(value, where, low, high) {
  if (!Number.isInteger(value) || Number(value) < low || Number(value) > high) {
    throw new BundleError(`manifest: ${where} is ${shown(value)}, expected an integer in ${low}..${high}`);
  }
}

/** @param {unknown} value @param {string} where */
export function checkText(value, where) {
  if (typeof value !== "string" || value.length > 1000)
    throw new BundleError(`manifest: ${where} is ${shown(value)}, expected a short text`);
}

/** @param {unknown} value @param {string} where @param {readonly string[]} choices */
export function checkChoice(value, where, choices) {
  if (!choices.includes(/** @type {string} */ (value))) {
    throw new BundleError(`manifest: ${where} is ${shown(value)}, expected one of ${choices.join(", ")}`);
  }
}

/** @param {unknown} value @param {string} where */
export function checkHash(value, where) {
  if (typeof value !== "string" || !HASH.test(value))
    throw new BundleError(`manifest: ${where} is not 64 hexadecimal digits`);
}

/** @param {unknown} value */
export function shown(value) {
  return String(JSON.stringify(value)).slice(0, 60);
}
