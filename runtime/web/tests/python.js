/** aeedge_runtime, for the tests that compare with it; cross.py is its side. */
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { ROOT } from "./fixtures.js";

const PYTHON = process.env.PYTHON ?? "python3";
const environment = {
  ...process.env,
  PYTHONPATH: fileURLToPath(new URL("runtime/", ROOT)),
  PYTHONDONTWRITEBYTECODE: "1",
};

/** Why there is no comparison, or false. PYTHON says that there must be one. */
export const noPython =
  process.env.PYTHON || runs() ? false : "no Python with aeedge_runtime and onnxruntime; name one in PYTHON";

function runs() {
  return spawnSync(PYTHON, ["-c", "import aeedge_runtime, onnxruntime"], { env: environment }).status === 0;
}

/**
 * A job of cross.py.
 *
 * @typedef {object} Job
 * @property {"compress" | "decompress" | "load" | "blob"} do
 * @property {string} [bundle]
 * @property {string} [file]
 * @property {string} [out]
 * @property {number[]} [shape]
 * @property {number} [quality]
 * @property {boolean} [stored] whether tiles may be stored
 */

/** Names of the errors that Python meets in jobs, "" for none. @param {readonly Job[]} jobs @returns {string[]} */
export function python(jobs) {
  const script = fileURLToPath(new URL("cross.py", import.meta.url));
  const { status, stdout, stderr } = spawnSync(PYTHON, [script], {
    env: environment,
    input: JSON.stringify(jobs),
    encoding: "utf-8",
    maxBuffer: 2 ** 26,
  });
  if (status !== 0) throw new Error(`Python failed: ${stderr}`);
  return JSON.parse(stdout);
}

/**
 * A folder that is removed after a call.
 *
 * @template Result
 * @param {(path: (name: string) => string) => Promise<Result>} call
 */
export async function inFolder(call) {
  const folder = await mkdtemp(join(tmpdir(), "aeedge-"));
  try {
    return await call((name) => join(folder, name));
  } finally {
    await rm(folder, { recursive: true });
  }
}
