/** The demo page in headless Chromium: a photo and a stream go in, pictures and facts come out. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { mkdir, writeFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";

import { Chromium, noChromium } from "./chromium.js";
import { PHOTO, ROOT } from "./fixtures.js";
import { serve } from "./server.js";

/** Where screenshots go, for people to look at. */
const { SCREENSHOTS } = process.env;

describe("the demo", { skip: noChromium }, () => {
  /** @type {Chromium} */
  let browser;
  /** @type {Awaited<ReturnType<typeof serve>>} */
  let server;
  before(async () => {
    server = await serve();
    browser = await Chromium.start();
    await browser.open(`${server.base}runtime/web/demo/`);
    await browser.until("document.getElementById('status').textContent === ''");
  });
  after(async () => {
    await browser?.close();
    server?.close();
  });

  /** @param {URL} file @param {string} name */
  async function choose(file, name) {
    await browser.choose("#file", [fileURLToPath(file)]);
    await browser.until(`document.getElementById('status').textContent === '${name} is ready.'`);
    return browser.evaluate("document.getElementById('facts').innerText");
  }

  /** @param {string} name @param {number} width @param {number} height */
  async function shoot(name, width, height) {
    if (!SCREENSHOTS) return;
    await mkdir(SCREENSHOTS, { recursive: true });
    await writeFile(`${SCREENSHOTS}/${name}.png`, await browser.screenshot(width, height));
  }

  test("compresses a photo, and says what came of it", async () => {
    const facts = await choose(new URL("docs/demo.png", ROOT), "demo.png");
    assert.match(facts, /Stream\n[\d,]+ bytes, [\d.]+ bits per pixel, quality 50/);
    assert.ok(Number(/PSNR\n([\d.]+) dB/.exec(facts)?.[1]) > 25, facts);
    await shoot("photo", 1000, 900);
  });

  test("takes another quality from the keyboard", async () => {
    const before = await browser.evaluate("document.getElementById('facts').innerText");
    await browser.evaluate("document.getElementById('quality').focus()");
    await browser.send("Input.dispatchKeyEvent", {
      type: "keyDown",
      key: "Home",
      code: "Home",
      windowsVirtualKeyCode: 36,
    });
    await browser.send("Input.dispatchKeyEvent", {
      type: "keyUp",
      key: "Home",
      code: "Home",
      windowsVirtualKeyCode: 36,
    });
    await browser.until("document.getElementById('facts').innerText.includes('quality 1\\n')");
    assert.notEqual(await browser.evaluate("document.getElementById('facts').innerText"), before);
    await shoot("quality-1", 1000, 900);
  });

  test("shows a stream, and does not offer what only a photo has", async () => {
    const facts = await choose(new URL("golden/3.aee", PHOTO), "3.aee");
    assert.match(facts, /Picture\n95 × 71/);
    assert.equal(await browser.evaluate("document.getElementById('quality-label').hidden"), true);
    await browser.send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: "dark" }] });
    await shoot("stream", 390, 844);
    assert.ok(await browser.evaluate("document.documentElement.scrollWidth <= innerWidth"));
  });

  test("says in one line what is wrong with another file", async () => {
    await browser.choose("#file", [fileURLToPath(new URL("tests/fixtures/streams/bad-checksum.aee", ROOT))]);
    await browser.until("!document.getElementById('error').hidden");
    assert.match(await browser.evaluate("document.getElementById('error').textContent"), /^StreamError: .*checksum/);
    await browser.choose("#file", [fileURLToPath(new URL("LICENSE", ROOT))]);
    await browser.until("document.getElementById('error').textContent.includes('neither')");
  });

  test("keeps to its content security policy, and throws nothing", () => assert.deepEqual(browser.console, []));
});
