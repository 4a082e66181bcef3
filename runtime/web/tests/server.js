/** The repository as a static web server on this machine. */
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";

import { ROOT } from "./fixtures.js";

/** @type {Record<string, string>} */
const TYPES = {
  html: "text/html",
  js: "text/javascript",
  mjs: "text/javascript",
  css: "text/css",
  wasm: "application/wasm",
  json: "application/json",
  svg: "image/svg+xml",
};
const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};
const NOT_FOUND = { status: 404, headers: {}, body: "" };

/**
 * @param {object} [options]
 * @param {boolean} [options.isolated] with the headers that let pages use threads
 * @param {Record<string, string>} [options.pages] text of further pages by path
 * @param {Record<string, URL>} [options.places] folders and files outside the repository's root, by the start of paths
 * @returns {Promise<{base: string, close: () => void}>}
 */
export async function serve({ isolated = false, pages = {}, places = {} } = {}) {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    const start = Object.keys(places).find((place) => path.startsWith(place));
    const file = start ? new URL(path.slice(start.length), places[start]) : new URL(`.${path}`, ROOT);
    const { status, headers, body } =
      path in pages ? { status: 200, headers: { "Content-Type": TYPES.html }, body: pages[path] } : await answer(file);
    response.writeHead(status, { ...headers, ...(isolated ? ISOLATION : {}) }).end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return { base: `http://127.0.0.1:${port}/`, close: () => void server.close() };
}

/** @param {URL} url */
async function answer(url) {
  const file = url.pathname.endsWith("/") ? new URL("index.html", url) : url;
  const body = file.href.startsWith(ROOT.href) ? await readFile(file).catch(() => null) : null;
  const type = TYPES[file.pathname.split(".").at(-1) ?? ""] ?? "application/octet-stream";
  return body ? { status: 200, headers: { "Content-Type": type }, body } : NOT_FOUND;
}
