/** The page of `aeedge serve` in headless Chromium: the demo, with the service in place of the codec in the page. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { after, before, describe, test } from "node:test";

import { Chromium, noChromium } from "./chromium.js";
import { PHOTO, ROOT } from "./fixtures.js";

const PYTHON = process.env.PYTHON ?? "python3";
const modules = spawnSync(PYTHON, ["-c", "import aeedge, fastapi, uvicorn, prometheus_client"]);
const skip = noChromium || (modules.status !== 0 && "no Python with aeedge[serve]; name one in PYTHON");

describe("the page of the service", { skip }, () => {
  /** @type {Chromium} */
  let browser;
  /** @type {import("node:child_process").ChildProcessByStdio<null, null, import("node:stream").Readable>} */
  let server;
  before(async () => {
    server = spawn(PYTHON, ["-m", "aeedge", "serve", "--port", "0"], { stdio: ["ignore", "ignore", "pipe"] });
    const line = String(await new Promise((resolve) => server.stderr.once("data", resolve)));
    browser = await Chromium.start();
    await browser.open(`${/http:\/\/\S+/.exec(line)?.[0]}/`);
    await browser.until("document.getElementById('status').textContent === ''");
  });
  after(async () => {
    await browser?.close();
    server?.kill();
  });

  test("compresses a photo at the service", async () => {
    await browser.choose("#file", [fileURLToPath(new URL("docs/demo.png", ROOT))]);
    await browser.until("document.getElementById('status').textContent === 'demo.png is ready.'");
    const facts = await browser.evaluate("document.getElementById('facts').innerText");
    assert.match(facts, /Stream\n[\d,]+ bytes, [\d.]+ bits per pixel, quality 50/);
    assert.match(facts, /PSNR\nlossless/, "the service stores the drawing exactly");
  });

  test("shows a stream, and the line of an error", async () => {
    await browser.choose("#file", [fileURLToPath(new URL("golden/3.aee", PHOTO))]);
    await browser.until("document.getElementById('status').textContent === '3.aee is ready.'");
    await browser.choose("#file", [fileURLToPath(new URL("tests/fixtures/streams/bad-checksum.aee", ROOT))]);
    await browser.until("!document.getElementById('error').hidden");
    assert.match(await browser.evaluate("document.getElementById('error').textContent"), /^StreamError: .*checksum/);
  });

  test("says where the picture goes, and throws nothing", async () => {
    assert.match(await browser.evaluate("document.getElementById('privacy').textContent"), /server/);
    assert.deepEqual(
      browser.console.filter((line) => !line.includes("422")),
      [],
    );
  });
});
