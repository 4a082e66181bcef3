/** JSON the way a manifest needs it: read strictly, and written in one way only. */

const TOKEN =
  /[ \t\n\r]*(?:([{}[\],:])|("(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(-?\d+(\.\d+)?([eE][-+]?\d+)?)|true|false|null)/y;

/** An object or array that has not ended yet. @typedef {{keys: Set<string> | null, path: string}} Open */

/**
 * Parse JSON. `JSON.parse` takes the last of two equal keys, reads 1e999 as infinity, and does not tell 1.0 from 1.
 *
 * @param {string} text
 * @returns {{value: unknown, fractions: string[]}} the value, and the paths ("/limits/overlap") of all numbers that are
 *     written with a fraction or an exponent
 * @throws {SyntaxError} not JSON, a key twice, or a number beyond a float.
 */
export function parseStrictly(text) {
  const value = JSON.parse(text);
  /** @type {Open[]} */
  const open = [];
  const fractions = [];
  let key = "";
  let path = "";
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(text); match; match = TOKEN.exec(text)) {
    const [, mark, string, number, fraction, exponent] = match;
    if (mark === "{" || mark === "[") open.push({ keys: mark === "{" ? new Set() : null, path });
    else if (mark === "}" || mark === "]") open.pop();
    else if (mark === ":") path = addKey(open[open.length - 1], key);
    else if (string) key = JSON.parse(string);
    else if (number && !Number.isFinite(Number(number)))
      throw new SyntaxError(`${number.slice(0, 60)} is beyond a float`);
    else if (fraction || exponent) fractions.push(path);
  }
  return { value, fractions };
}

/** @param {Open} object @param {string} key @returns {string} the path of the key's value */
function addKey({ keys, path }, key) {
  if (keys?.has(key)) throw new SyntaxError(`key ${key} comes twice`);
  keys?.add(key);
  return `${path}/${key}`;
}

/**
 * Canonical JSON: sorted keys, no spaces, ASCII only. Numbers must be integers: languages write others in several ways.
 *
 * @param {unknown} value
 * @returns {string}
 */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value && typeof value === "object") {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, part]) => `${canonical(key)}:${canonical(part)}`).join(",")}}`;
  }
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
