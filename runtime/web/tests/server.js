/** The repository as a static web server on this machine. */
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";

import { ROOT } from "./fixtures.js";

/** @type {Record<string, string>} */
const TYPES = { html: "text/html", js: "text/javascript", mjs: "text/javascript", css: "text/css", wasm: "application/wasm", json: "application/json", svg: "image/svg+xml" };
const ISOLATION = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp", "Cross-Origin-Resource-Policy": "same-origin" };
const NOT_FOUND = { status: 404, headers: {}, body: "" };

/**
 * @param {{isolated?: boolean}} [options] isolated: with the headers that let pages use threads
 * @returns {Promise<{base: string, close: () => void}>}
 */
export async function serve({ isolated = false } = {}) {
  const server = createServer(async (request, response) => {
    const { status, headers, body } = await answer(new URL(request.url ?? "/", "http://localhost").pathname);
    response.writeHead(status, { ...headers, ...(isolated ? ISOLATION : {}) }).end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return { base: `http://127.0.0.1:${port}/`, close: () => void server.close() };
}

/** @param {string} path */
async function answer(path) {
  const file = new URL(`.${path.endsWith("/") ? `${path}index.html` : path}`, ROOT);
  const body = file.href.startsWith(ROOT.href) ? await readFile(file).catch(() => null) : null;
  return body ? { status: 200, headers: { "Content-Type": TYPES[path.split(".").at(-1) ?? ""] ?? (path.endsWith("/") ? TYPES.html : "application/octet-stream") }, body } : NOT_FOUND;
}
