/** Headless Chromium: golden streams, every fixture stream, the worker, threads, WebGPU. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Chromium, noChromium } from "./chromium.js";
import { BUNDLES, STREAMS, bytesAt, codecOf, goldenNames } from "./fixtures.js";
import { filesOf, zipOf } from "./forged.js";
import { serve } from "./server.js";

const PAGE = "runtime/web/tests/browser/page.html";

/** @param {Chromium} browser @param {string} method @param {unknown[]} values */
function call(browser, method, ...values) {
  return browser.evaluate(`calls.${method}(...${JSON.stringify(values)})`);
}

describe("Chromium", { skip: noChromium }, () => {
  /** @type {Chromium} */
  let browser;
  /** @type {Awaited<ReturnType<typeof serve>>} */
  let server;
  before(async () => {
    server = await serve();
    browser = await Chromium.start();
    await browser.open(server.base + PAGE);
    await browser.until("globalThis.calls");
  });
  after(async () => {
    await browser?.close();
    server?.close();
  });

  for (const [bundle, place] of BUNDLES) {
    test(`${bundle}: golden streams`, async () => {
      for (const [symbols, pixels] of await call(browser, "golden", bundle, await goldenNames(place))) {
        assert.equal(symbols, 0);
        assert.ok(pixels <= 1);
      }
    });
  }

  test("every fixture stream meets its verdict", async () => {
    const facts = JSON.parse(new TextDecoder().decode(await bytesAt(new URL("streams.json", STREAMS))));
    const kinds = /** @type {Record<string, string>} */ ({
      good: "",
      bad: "StreamError",
      unsupported: "UnsupportedStreamError",
      limit: "LimitError",
    });
    assert.deepEqual(
      await call(browser, "verdicts", facts),
      Object.keys(facts).map((name) => kinds[name.split("-", 1)[0]]),
    );
  });

  test("a worker compresses and decompresses, reports, and stops", async () => {
    const { stream, mean, symbols, ...found } = await call(browser, "worker");
    assert.deepEqual(found, {
      isPicture: true,
      names: ["a", "b"],
      progress: 1,
      stopped: "AbortError",
      damaged: ["StreamError", "StreamError"],
      missing: "ModelNotFoundError",
      closed: "AbortError",
    });
    assert.ok(mean < 6);
    assert.equal((await (await codecOf("photo")).decompressSymbols(Uint8Array.from(stream))).length, symbols);
  });

  test("an .aeb file loads", async () => {
    assert.equal(await call(browser, "file", Array.from(zipOf(await filesOf("tiny-conv")))), "tiny-conv");
  });
});

describe("Chromium, cross-origin isolated", { skip: noChromium }, () => {
  test("two threads give the same symbols", async () => {
    const server = await serve({ isolated: true });
    const browser = await Chromium.start();
    try {
      await browser.open(server.base + PAGE);
      await browser.until("globalThis.calls && crossOriginIsolated");
      for (const [symbols, pixels] of await call(browser, "golden", "photo", ["0", "3"], { threads: 2 })) {
        assert.equal(symbols, 0);
        assert.ok(pixels <= 1);
      }
    } finally {
      await browser.close();
      server.close();
    }
  });
});

describe("Chromium with a software WebGPU adapter", { skip: noChromium }, () => {
  test("the decoder on WebGPU gives the same symbols, and pixels within 1", async (context) => {
    const server = await serve();
    const browser = await Chromium.start(["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]);
    try {
      await browser.open(server.base + PAGE);
      await browser.until("globalThis.calls");
      if (!(await browser.evaluate("navigator.gpu?.requestAdapter().then(Boolean)"))) return context.skip("no adapter");
      for (const [symbols, pixels] of await call(browser, "golden", "photo", ["0", "3"], { device: "webgpu" })) {
        assert.equal(symbols, 0);
        assert.ok(pixels <= 1);
      }
    } finally {
      await browser.close();
      server.close();
    }
  });
});
