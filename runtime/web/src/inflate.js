/**
 * Zlib data, inflated whole (RFC 1950, RFC 1951).
 *
 * Not DecompressionStream: that of Node 20 ignores bytes behind the data's end, and a stream with such bytes must be
 * refused alike in every engine.
 */

/** Base and extra bits of every length code, and of every distance code. */
const LENGTHS = codeBases(28, 3, 4, 2).concat([[258, 0]]);
const DISTANCES = codeBases(30, 1, 2, 1);
/** In which order the lengths of the code length codes come. */
const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const MAX_BITS = 15;

/**
 * @typedef {{counts: Uint16Array, symbols: Uint16Array}} Huffman counts by length, and symbols in order of their codes
 */

const FIXED_LITERALS = huffman([...fill(144, 8), ...fill(112, 9), ...fill(24, 7), ...fill(8, 8)], false);
const FIXED_DISTANCES = huffman(fill(32, 5), false);

/**
 * @param {Uint8Array} data
 * @param {number} most bytes that may come out
 * @throws {RangeError} not zlib data, cut short, followed by other bytes, or more than `most` bytes.
 */
export function inflate(data, most) {
  const header = data.length < 2 ? 0 : data[0] * 256 + data[1];
  if ((data[0] & 15) !== 8 || data[0] >> 4 > 7 || header % 31 || data[1] & 32) throw new RangeError("not zlib data");
  const input = new Bits(data, 2);
  const output = new Output(most);
  for (let last = 0; !last;) {
    last = input.take(1);
    const type = input.take(2);
    if (type === 0) copyStored(input, output);
    else if (type === 1) inflateBlock(input, output, FIXED_LITERALS, FIXED_DISTANCES);
    else if (type === 2) inflateBlock(input, output, ...readCodes(input));
    else throw new RangeError("not zlib data");
  }
  const found = output.bytes();
  const trailer = input.rest();
  if (trailer.length < 4) throw new RangeError("cut short");
  if (adler32(found) !== trailer.slice(0, 4).reduce((value, byte) => value * 256 + byte, 0)) {
    throw new RangeError("does not match its checksum");
  }
  if (trailer.length > 4) throw new RangeError("followed by other bytes");
  return found;
}

/** Reads bits, lowest first, and never a byte ahead of them. */
class Bits {
  /** @param {Uint8Array} data @param {number} position */
  constructor(data, position) {
    this.data = data;
    this.position = position;
    this.hold = 0;
    this.held = 0;
  }

  /** @param {number} count */
  take(count) {
    while (this.held < count) {
      if (this.position >= this.data.length) throw new RangeError("cut short");
      this.hold |= this.data[this.position++] << this.held;
      this.held += 8;
    }
    const value = this.hold & ((1 << count) - 1);
    this.hold >>>= count;
    this.held -= count;
    return value;
  }

  /** @param {Huffman} code */
  symbol({ counts, symbols }) {
    for (let length = 1, code = 0, first = 0, index = 0; length <= MAX_BITS; length++) {
      code |= this.take(1);
      const count = counts[length];
      if (code - count < first) return symbols[index + code - first];
      index += count;
      first = 2 * (first + count);
      code *= 2;
    }
    throw new RangeError("not zlib data");
  }

  /** Bytes after the one that was read last. */
  rest() {
    this.hold = this.held = 0;
    return this.data.subarray(this.position);
  }
}

/** Bytes that came out; grows with them, as their number is known only at the end. */
class Output {
  /** @param {number} most */
  constructor(most) {
    this.most = most;
    this.size = 0;
    this.data = new Uint8Array(Math.min(most, 1 << 16));
  }

  /** @param {number} more */
  reserve(more) {
    const needed = this.size + more;
    if (needed > this.most) throw new RangeError(`more than ${this.most} bytes`);
    if (needed <= this.data.length) return;
    const larger = new Uint8Array(Math.min(this.most, Math.max(2 * this.data.length, needed)));
    larger.set(this.bytes());
    this.data = larger;
  }

  /** @param {number} byte */
  push(byte) {
    this.reserve(1);
    this.data[this.size++] = byte;
  }

  /** @param {number} distance @param {number} length */
  repeat(distance, length) {
    if (distance > this.size) throw new RangeError("not zlib data");
    this.reserve(length);
    for (const end = this.size + length; this.size < end; this.size++)
      this.data[this.size] = this.data[this.size - distance];
  }

  bytes() {
    return this.data.subarray(0, this.size);
  }
}

/** @param {Bits} input @param {Output} output */
function copyStored(input, output) {
  const rest = input.rest();
  const length = rest[0] | (rest[1] << 8);
  if (rest.length < 4 || rest.length < 4 + length) throw new RangeError("cut short");
  if ((length ^ 0xffff) !== (rest[2] | (rest[3] << 8))) throw new RangeError("not zlib data");
  output.reserve(length);
  output.data.set(rest.subarray(4, 4 + length), output.size);
  output.size += length;
  input.position += 4 + length;
}

/** @param {Bits} input @param {Output} output @param {Huffman} literals @param {Huffman} distances */
function inflateBlock(input, output, literals, distances) {
  for (let symbol = input.symbol(literals); symbol !== 256; symbol = input.symbol(literals)) {
    if (symbol < 256) {
      output.push(symbol);
      continue;
    }
    if (symbol > 285) throw new RangeError("not zlib data");
    const [base, extra] = LENGTHS[symbol - 257];
    const length = base + input.take(extra);
    const code = input.symbol(distances);
    if (code > 29) throw new RangeError("not zlib data");
    output.repeat(DISTANCES[code][0] + input.take(DISTANCES[code][1]), length);
  }
}

/**
 * The two codes at the start of a dynamic block.
 *
 * @param {Bits} input
 * @returns {[Huffman, Huffman]}
 */
function readCodes(input) {
  const [literals, distances, few] = [input.take(5) + 257, input.take(5) + 1, input.take(4) + 4];
  if (literals > 286 || distances > 30) throw new RangeError("not zlib data");
  const short = fill(19, 0);
  for (let i = 0; i < few; i++) short[ORDER[i]] = input.take(3);
  const code = huffman(short, false);
  /** @type {number[]} */
  const lengths = [];
  while (lengths.length < literals + distances) {
    const symbol = input.symbol(code);
    if (symbol < 16) {
      lengths.push(symbol);
      continue;
    }
    if (symbol === 16 && !lengths.length) throw new RangeError("not zlib data");
    const value = symbol === 16 ? lengths[lengths.length - 1] : 0;
    const times = symbol === 16 ? 3 + input.take(2) : symbol === 17 ? 3 + input.take(3) : 11 + input.take(7);
    lengths.push(...fill(times, value));
  }
  if (lengths.length > literals + distances || !lengths[256]) throw new RangeError("not zlib data");
  return [huffman(lengths.slice(0, literals), true), huffman(lengths.slice(literals), true)];
}

/**
 * A canonical code. More codes than fit are refused, and fewer, but for a single one where that is allowed.
 *
 * @param {readonly number[]} lengths by symbol, 0 for those without a code
 * @param {boolean} singleAllowed
 * @returns {Huffman}
 */
function huffman(lengths, singleAllowed) {
  const counts = new Uint16Array(MAX_BITS + 1);
  for (const length of lengths) counts[length]++;
  const total = lengths.length - counts[0];
  counts[0] = 0;
  let free = 1;
  for (let length = 1; length <= MAX_BITS; length++) {
    free = 2 * free - counts[length];
    if (free < 0) throw new RangeError("not zlib data");
  }
  if (free && !(singleAllowed && total <= 1)) throw new RangeError("not zlib data");
  const next = new Uint16Array(MAX_BITS + 2);
  for (let length = 1; length <= MAX_BITS; length++) next[length + 1] = next[length] + counts[length];
  const symbols = new Uint16Array(total);
  lengths.forEach((length, symbol) => {
    if (length) symbols[next[length]++] = symbol;
  });
  return { counts, symbols };
}

/**
 * Every `repeat` codes cover twice as many values as those before: base and extra bits of each.
 *
 * @param {number} count
 * @param {number} first
 * @param {number} plain codes without extra bits at the start
 * @param {number} shift log2 of the codes with one number of extra bits
 * @returns {[number, number][]}
 */
function codeBases(count, first, plain, shift) {
  /** @type {[number, number][]} */
  const bases = [];
  for (let code = 0, base = first; code < count; code++) {
    const extra = code < plain ? 0 : (code >> shift) - 1;
    bases.push([base, extra]);
    base += 2 ** extra;
  }
  return bases;
}

/** @param {number} count @param {number} value @returns {number[]} */
function fill(count, value) {
  return new Array(count).fill(value);
}

/** @param {Uint8Array} data */
function adler32(data) {
  let [low, high] = [1, 0];
  for (let i = 0; i < data.length;) {
    for (const stop = Math.min(data.length, i + 3800); i < stop; i++) high += low += data[i];
    low %= 65521;
    high %= 65521;
  }
  return high * 65536 + low;
}
