/** Headless Chromium over the DevTools protocol, by a pipe: no package and no port. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--remote-debugging-pipe",
];
const CHROMIUM = process.env.CHROMIUM ?? "chromium";

/** Why there is no browser, or false. CHROMIUM says that there must be one. */
export const noChromium =
  process.env.CHROMIUM || !spawnSync(CHROMIUM, ["--version"]).error ? false : "no chromium; name one in CHROMIUM";

/** @typedef {{method?: string, sessionId?: string, params?: any}} Event */

/** One browser with one page. */
export class Chromium {
  #process;
  #folder;
  #next = 0;
  #rest = "";
  /** @type {Map<number, {resolve: (result: any) => void, reject: (error: Error) => void}>} */
  #waiting = new Map();
  #session = "";
  /** @type {string[]} What the page wrote to its console, and what it threw. */
  console = [];

  /** @param {string} folder @param {string[]} flags */
  constructor(folder, flags) {
    this.#folder = folder;
    this.#process = spawn(CHROMIUM, [...FLAGS, ...flags, `--user-data-dir=${folder}`], {
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
    });
    this.#process.stdio[4]?.on("data", (data) => this.#onData(String(data)));
    this.#process.on("exit", () => this.#fail(new Error("Chromium ended")));
  }

  /** @param {string[]} [flags] */
  static async start(flags = ["--disable-gpu"]) {
    const browser = new Chromium(await mkdtemp(join(tmpdir(), "aeedge-chromium-")), flags);
    const { targetId } = await browser.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await browser.send("Target.attachToTarget", { targetId, flatten: true });
    browser.#session = sessionId;
    for (const domain of ["Page", "Runtime", "DOM"]) await browser.send(`${domain}.enable`);
    return browser;
  }

  /** @param {string} method @param {object} [params] @returns {Promise<any>} */
  send(method, params = {}) {
    const id = ++this.#next;
    const pipe = /** @type {import("node:stream").Writable} */ (this.#process.stdio[3]);
    pipe.write(`${JSON.stringify({ id, method, params, ...(this.#session && { sessionId: this.#session }) })}\0`);
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  /** Open a page, and wait until it has loaded. @param {string} url */
  async open(url) {
    await this.send("Page.navigate", { url });
    await this.until("document.readyState === 'complete'");
  }

  /**
   * The value of an expression in the page; promises are waited for.
   *
   * @param {string} expression
   * @returns {Promise<any>}
   */
  async evaluate(expression) {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  /** Wait until an expression is true. @param {string} expression @param {number} [seconds] */
  async until(expression, seconds = 120) {
    for (
      const end = Date.now() + 1000 * seconds;
      Date.now() < end;
      await new Promise((resolve) => setTimeout(resolve, 50))
    ) {
      if (await this.evaluate(expression).catch(() => false)) return;
    }
    throw new Error(`not within ${seconds} s: ${expression}; console: ${this.console.join(" | ")}`);
  }

  /** A picture of the page as PNG. @param {number} width @param {number} height */
  async screenshot(width, height) {
    await this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false });
    const { data } = await this.send("Page.captureScreenshot", { format: "png" });
    return Buffer.from(data, "base64");
  }

  /** Choose files in an input. @param {string} selector @param {string[]} files */
  async choose(selector, files) {
    const { root } = await this.send("DOM.getDocument");
    const { nodeId } = await this.send("DOM.querySelector", { nodeId: root.nodeId, selector });
    await this.send("DOM.setFileInputFiles", { nodeId, files });
  }

  async close() {
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill();
    await ended;
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** @param {string} data */
  #onData(data) {
    const messages = (this.#rest + data).split("\0");
    this.#rest = messages.pop() ?? "";
    for (const message of messages) this.#onMessage(JSON.parse(message));
  }

  /** @param {Event & {id?: number, result?: any, error?: {message: string}}} message */
  #onMessage({ id, result, error, method, params }) {
    if (method === "Runtime.consoleAPICalled")
      this.console.push(params.args.map((/** @type {any} */ value) => value.value ?? value.description).join(" "));
    if (method === "Runtime.exceptionThrown")
      this.console.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (id === undefined) return;
    if (error) this.#waiting.get(id)?.reject(new Error(error.message));
    else this.#waiting.get(id)?.resolve(result);
    this.#waiting.delete(id);
  }

  /** @param {Error} error */
  #fail(error) {
    for (const { reject } of this.#waiting.values()) reject(error);
  }
}
