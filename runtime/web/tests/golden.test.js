/** The golden streams of every bundle: symbols equal, pixels within 1. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Picture } from "../src/index.js";
import { BUNDLES, codecOf, golden, goldenNames, mostDifference } from "./fixtures.js";

for (const [bundle, place] of BUNDLES) {
  describe(bundle, async () => {
    for (const name of await goldenNames(place)) {
      test(`${name} decodes to Python's symbols and pixels`, async () => {
        const codec = await codecOf(bundle);
        const { stream, symbols, decoded } = await golden(place, name);
        assert.deepEqual(await codec.decompressSymbols(stream), symbols);
        const picture = await codec.decompress(stream);
        assert.deepEqual(
          [picture.width, picture.height, picture.channels],
          [decoded.width, decoded.height, decoded.channels],
        );
        assert.ok(mostDifference(picture.pixels, decoded.pixels) <= 1);
      });

      test(`${name} encodes to symbols that differ by at most 1 in few places`, async () => {
        const codec = await codecOf(bundle);
        const { stream, symbols, source } = await golden(place, name);
        const own = await codec.compress(new Picture(source), stream[13]);
        const found = await codec.decompressSymbols(own);
        assert.equal(found.length, symbols.length);
        const other = found.filter((symbol, i) => symbol !== symbols[i]).length;
        assert.ok(other <= 1 + symbols.length / 1000, `${other} of ${symbols.length} symbols differ`);
      });
    }
  });
}
