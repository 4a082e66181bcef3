/** Inflate against zlib: what it packs comes back, and damage is refused alike. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { constants, deflateSync, inflateSync } from "node:zlib";

import { inflate } from "../src/inflate.js";
import { random } from "./fixtures.js";

/** @param {() => number} next */
function sample(next) {
  const [length, kinds] = [Math.floor(next() * 3000), 1 + Math.floor(next() * 256)];
  return Uint8Array.from({ length }, (_, i) => (next() < 0.5 ? i >> 3 : next() * kinds));
}

test("data of every kind of block come back", () => {
  const next = random(1);
  for (let trial = 0; trial < 200; trial++) {
    const data = sample(next);
    const strategy = [constants.Z_DEFAULT_STRATEGY, constants.Z_FIXED, constants.Z_HUFFMAN_ONLY, constants.Z_RLE][
      trial % 4
    ];
    const packed = deflateSync(data, { level: trial % 10, strategy });
    assert.deepEqual(inflate(packed, data.length), data);
    if (data.length) assert.throws(() => inflate(packed, data.length - 1), RangeError);
    assert.throws(() => inflate(packed.subarray(0, -1), data.length), RangeError);
    assert.throws(() => inflate(Buffer.concat([packed, Buffer.of(0)]), data.length), RangeError);
  }
});

test("damaged data are refused where zlib refuses them", () => {
  const next = random(2);
  for (let trial = 0; trial < 2000; trial++) {
    const packed = deflateSync(sample(next).subarray(0, 200), { level: 1 + (trial % 9) });
    for (let change = 0; change < 1 + 2 * next(); change++) packed[Math.floor(next() * packed.length)] = 256 * next();
    const right = orNull(() => inflateSync(packed, { maxOutputLength: 4096 }));
    const found = orNull(() => inflate(packed, 4096));
    if (found && !right) assert.fail(`accepted ${packed.toString("hex")}`);
    if (right && !found) assert.throws(() => inflate(packed, 4096), /followed by other bytes/); // zlib's one-shot call ignores those
    if (right && found) assert.deepEqual(Buffer.from(found), right);
  }
});

/** @template Result @param {() => Result} call */
function orNull(call) {
  try {
    return call();
  } catch {
    return null;
  }
}
