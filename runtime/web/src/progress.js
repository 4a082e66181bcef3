/** Long calls: they say how far they are, let others run, and stop when they are told to. */

/** Time after which a call lets the page, or its worker, see to other events. */
const PAUSE_MS = 30;

/**
 * @typedef {object} CallOptions
 * @property {AbortSignal} [signal] stops the call at its next step
 * @property {(fraction: number) => void} [onProgress] called with numbers that rise from 0 to 1
 */

export class Progress {
  #done = 0;
  #lastPause = performance.now();

  /**
   * @param {number} total steps
   * @param {CallOptions} options
   */
  constructor(total, { signal, onProgress }) {
    this.total = total;
    this.signal = signal;
    this.onProgress = onProgress;
    signal?.throwIfAborted();
  }

  /**
   * @param {number} steps that have been done
   * @throws the reason of the signal, if it is aborted.
   */
  async advance(steps) {
    this.#done += steps;
    this.onProgress?.(Math.min(this.#done / this.total, 1));
    if (performance.now() - this.#lastPause > PAUSE_MS) {
      await pause();
      this.#lastPause = performance.now();
    }
    this.signal?.throwIfAborted();
  }
}

/** Wait for one turn of the event loop; setTimeout would wait for at least 4 ms when it is called again and again. */
function pause() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve(undefined);
    };
    port2.postMessage(null);
  });
}
