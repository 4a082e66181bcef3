/** README.md: its page shows a picture, and its lines for Node print what it says. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { test } from "node:test";

import { Chromium, noChromium } from "./chromium.js";
import { PHOTO } from "./fixtures.js";
import { serve } from "./server.js";

const WEB = new URL("../", import.meta.url);
const README = await readFile(new URL("README.md", WEB), "utf-8");

/** @param {string} kind @param {string} words that the block has */
function block(kind, words) {
  const found = [...README.matchAll(new RegExp(`^\`\`\`${kind}\n(.*?)^\`\`\`$`, "gms"))].find(([text]) =>
    text.includes(words),
  );
  assert.ok(found, words);
  return found[1];
}

test("the page shows a picture", { skip: noChromium }, async () => {
  const places = {
    "/node_modules/aeedge/": WEB,
    "/node_modules/onnxruntime-web/": new URL("node_modules/onnxruntime-web/", WEB),
    "/photo/": PHOTO,
    "/photo.aee": new URL("golden/3.aee", PHOTO),
  };
  const server = await serve({ pages: { "/page.html": block("html", "putImageData") }, places });
  const browser = await Chromium.start();
  try {
    await browser.open(`${server.base}page.html`);
    await browser.until("picture.width === 95");
    assert.equal(
      await browser.evaluate("new Set(picture.getContext('2d').getImageData(0, 0, 95, 71).data).size > 50"),
      true,
    );
  } finally {
    await browser.close();
    server.close();
  }
});

test("the lines for Node print what README says", () => {
  const script = block("js", "new Picture").replace('load("photo")', `load(${JSON.stringify(fileURLToPath(PHOTO))})`);
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    cwd: fileURLToPath(WEB),
    encoding: "utf-8",
  });
  assert.equal(stdout, block("text", "93d6"), stderr);
});
