/** What a stream depends on, as hashes (FORMAT.md, Stream id). */
import { concat } from "./bytes.js";
import { sha256 } from "./checksums.js";
import { canonical } from "./json.js";

const STREAM_ID_DIGITS = 16;

/** @param {string} text */
function hashOfText(text) {
  return sha256(new TextEncoder().encode(text));
}

/** @param {import("./manifest.js").Manifest} manifest */
export function geometryHash({ image, latent, prior }) {
  return hashOfText(canonical({ image, latent, prior }));
}

/** @param {Record<string, string>} parts */
export async function streamId(parts) {
  return (await hashOfText(canonical(parts))).slice(0, STREAM_ID_DIGITS);
}

/** @param {ReadonlyMap<string, import("./npy.js").NpyArray>} arrays of entropy.npz by name */
export function tablesHash(arrays) {
  const text = new TextEncoder();
  const names = [...arrays.keys()].sort();
  const parts = names.flatMap((name) => {
    const { dtype, shape, bytes } = /** @type {import("./npy.js").NpyArray} */ (arrays.get(name));
    return [text.encode(name), text.encode(dtype), text.encode(canonical(shape)), bytes];
  });
  return sha256(concat(parts));
}
