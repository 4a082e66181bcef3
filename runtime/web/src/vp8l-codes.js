/** Bits and prefix codes of a VP8L bit stream (RFC 9649, sections 5 and 6.2). */

const MAX_BITS = 15;
/** Codes of up to so many bits are found at once, by a table. */
const TABLE_BITS = 8;
/** In which order the lengths of the code length code come. */
const ORDER = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const LENGTH_CODES = 19;
const FIRST_REPEATED_LENGTH = 8;

/** Reads bits, lowest first. */
export class Bits {
  /** @param {Uint8Array} data @param {number} position */
  constructor(data, position) {
    this.data = data;
    this.position = position;
    this.hold = 0;
    this.held = 0;
  }

  /** The next bits without taking them, zeros beyond the end. @param {number} count at most 16 */
  peek(count) {
    while (this.held < count) {
      this.hold |= (this.data[this.position++] ?? 0) << this.held;
      this.held += 8;
    }
    return this.hold & ((1 << count) - 1);
  }

  /** @param {number} count bits that were peeked at */
  skip(count) {
    this.hold >>>= count;
    this.held -= count;
    if (this.position - (this.held >> 3) > this.data.length) throw new RangeError("cut short");
  }

  /** @param {number} count at most 24 @returns {number} */
  take(count) {
    if (count > 16) return this.take(16) + 65536 * this.take(count - 16);
    const value = this.peek(count);
    this.skip(count);
    return value;
  }
}

/** A canonical prefix code; that of a single symbol takes no bits. */
export class PrefixCode {
  /** @param {Uint8Array} lengths by symbol, 0 for those without a code */
  constructor(lengths) {
    const counts = new Uint16Array(MAX_BITS + 1);
    for (const length of lengths) counts[length]++;
    const total = lengths.length - counts[0];
    if (!total) throw new RangeError("a prefix code of no symbol");
    counts[0] = 0;
    this.single = total === 1 ? lengths.findIndex((length) => length > 0) : -1;
    this.counts = counts;
    this.symbols = new Uint16Array(total);
    this.tableBits = 0;
    this.table = new Uint32Array(0);
    if (this.single < 0) this.#build(lengths);
  }

  /** @param {Bits} bits @returns {number} */
  read(bits) {
    if (this.single >= 0) return this.single;
    const entry = this.table[bits.peek(this.tableBits)];
    if (!entry) return this.#readLong(bits);
    bits.skip(entry & 15);
    return entry >> 4;
  }

  /** Bit by bit. @param {Bits} bits */
  #readLong(bits) {
    for (let length = 1, code = 0, first = 0, index = 0; length <= MAX_BITS; length++) {
      code |= bits.take(1);
      const count = this.counts[length];
      if (code - count < first) return this.symbols[index + code - first];
      index += count;
      first = 2 * (first + count);
      code *= 2;
    }
    throw new RangeError("a prefix code that does not end");
  }

  /** @param {Uint8Array} lengths */
  #build(lengths) {
    const [next, place] = [new Uint32Array(MAX_BITS + 2), new Uint16Array(MAX_BITS + 2)];
    let longest = 0;
    for (let length = 1; length <= MAX_BITS; length++) {
      next[length + 1] = 2 * (next[length] + this.counts[length]);
      place[length + 1] = place[length] + this.counts[length];
      if (this.counts[length]) longest = length;
    }
    if (next[MAX_BITS + 1] !== 2 ** (MAX_BITS + 1)) throw new RangeError("a prefix code that is not complete");
    this.tableBits = Math.min(longest, TABLE_BITS);
    this.table = new Uint32Array(2 ** this.tableBits);
    for (let symbol = 0; symbol < lengths.length; symbol++) {
      const length = lengths[symbol];
      if (!length) continue;
      this.symbols[place[length]++] = symbol;
      const code = next[length]++;
      if (length > this.tableBits) continue;
      for (let slot = reversed(code, length); slot < this.table.length; slot += 2 ** length)
        this.table[slot] = symbol * 16 + length;
    }
  }
}

/** @param {number} code @param {number} length */
function reversed(code, length) {
  let found = 0;
  for (let bit = 0; bit < length; bit++) found |= ((code >> bit) & 1) << (length - 1 - bit);
  return found;
}

/**
 * @param {Bits} bits
 * @param {number} alphabet symbols that the code may have
 */
export function readPrefixCode(bits, alphabet) {
  const lengths = new Uint8Array(alphabet);
  if (bits.take(1)) {
    const two = bits.take(1);
    lengths.fill(1, ...oneSymbol(bits.take(bits.take(1) ? 8 : 1), alphabet));
    if (two) lengths.fill(1, ...oneSymbol(bits.take(8), alphabet));
  } else readLengths(bits, lengths);
  return new PrefixCode(lengths);
}

/** @param {number} symbol @param {number} alphabet @returns {[number, number]} */
function oneSymbol(symbol, alphabet) {
  if (symbol >= alphabet) throw new RangeError("a symbol beyond its alphabet");
  return [symbol, symbol + 1];
}

/** @param {Bits} bits @param {Uint8Array} lengths */
function readLengths(bits, lengths) {
  const short = new Uint8Array(LENGTH_CODES);
  const few = 4 + bits.take(4);
  for (let i = 0; i < few; i++) short[ORDER[i]] = bits.take(3);
  const code = new PrefixCode(short);
  let left = lengths.length;
  if (bits.take(1)) left = 2 + bits.take(2 + 2 * bits.take(3));
  if (left > lengths.length) throw new RangeError("more code lengths than symbols");
  let before = FIRST_REPEATED_LENGTH;
  for (let symbol = 0; symbol < lengths.length && left; left--) {
    const length = code.read(bits);
    if (length < 16) {
      lengths[symbol++] = length;
      if (length) before = length;
      continue;
    }
    const times = length === 16 ? 3 + bits.take(2) : length === 17 ? 3 + bits.take(3) : 11 + bits.take(7);
    if (symbol + times > lengths.length) throw new RangeError("more code lengths than symbols");
    if (length === 16) lengths.fill(before, symbol, symbol + times);
    symbol += times;
  }
}
