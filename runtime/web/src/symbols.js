/** Latents to the chunks of a stream and back: the prior, the coder and the symbol hash meet here. */
import { bytesOf16 } from "./bytes.js";
import { crc32 } from "./checksums.js";
import { ChunkDecoder, encodeChunk } from "./chunk.js";
import { StreamError } from "./errors.js";
import { roundSymbols } from "./quantizer.js";

/** @typedef {import("./layout.js").Span} Span */
/** @typedef {import("./prior.js").FactorizedPrior | import("./prior.js").HyperPrior} Prior */
/** @typedef {import("./tables.js").Tables} Tables */
/**
 * @typedef {import("./prior.js").Coded & {span: Span, passes: Int16Array[]}} DecodedChunk passes: symbols in coding order
 */

/**
 * Chunks of a stream in order, decoded.
 *
 * @param {import("./container.js").Stream} stream
 * @param {import("./layout.js").Layout} layout
 * @param {Tables} tables
 * @param {Prior} prior
 * @returns {AsyncGenerator<DecodedChunk, void>}
 * @throws {StreamError} a chunk breaks a rule of the format, or the symbols of all do not match their hash.
 */
export async function* readChunks(stream, layout, tables, prior) {
  const payloads = stream.payloads();
  let [hash, left] = [0, layout.chunks];
  for (const span of layout.spans()) {
    const decoder = new ChunkDecoder(/** @type {Uint8Array} */ (payloads.next().value), tables.bank);
    /** @type {Int16Array[]} */
    const passes = [];
    const coded = await prior.walk({ ...span, w: layout.w }, stream.quality, null, (asked) => {
      const symbols = decoder.decode(asked.tables, asked.last);
      hash = crc32(bytesOf16(symbols), hash);
      passes.push(symbols);
      return symbols;
    });
    if (!--left && hash !== stream.symbolHash) {
      throw new StreamError("stream: the decoded symbols do not match their hash; the stream is damaged, get it again");
    }
    yield { ...coded, span, passes };
  }
}

/** Codes chunks, in order. */
export class ChunkWriter {
  /**
   * @param {Tables} tables
   * @param {Prior} prior
   * @param {number} quality
   */
  constructor(tables, prior, quality) {
    this.tables = tables;
    this.prior = prior;
    this.quality = quality;
    /** @type {Uint8Array[]} */
    this.chunks = [];
    this.symbolHash = 0;
  }

  /**
   * @param {Float32Array} latents [images, c, rows, w]
   * @param {Span} span
   * @param {number} w
   */
  async write(latents, span, w) {
    /** @type {import("./chunk.js").Pass[]} */
    const passes = [];
    await this.prior.walk({ ...span, w }, this.quality, latents, ({ tables, wanted, most }) => {
      const symbols = roundSymbols(/** @type {Float32Array} */ (wanted), tables, this.tables, most);
      this.symbolHash = crc32(bytesOf16(symbols), this.symbolHash);
      passes.push({ tables, symbols });
      return symbols;
    });
    this.chunks.push(encodeChunk(passes, this.tables.bank));
  }
}
