/** The integer frequency tables (FORMAT.md, Tables). */
import { BundleError } from "./errors.js";
import { MAX_SYMBOL, MAX_TABLES, MAX_TOKENS } from "./limits.js";

export const [OFFSET, MAGNITUDE, CERTAIN] = [0, 1, 2];
export const PRECISION_BITS = 14;
export const TOTAL = 1 << PRECISION_BITS;

/** Frequencies of all tables, and what the coder looks up. A token's entry is `table * columns + token`. */
export class Bank {
  /**
   * @param {Uint16Array} frequencies [tables, columns]
   * @param {number} columns
   * @param {Uint16Array} sizes tokens of each table, the escape included
   * @param {Int16Array} minimum symbol of token 0 of an offset table
   * @param {Uint8Array} kind
   * @throws {BundleError} a rule of the tables is broken.
   */
  constructor(frequencies, columns, sizes, minimum, kind) {
    if (sizes.length < 1 || sizes.length > MAX_TABLES || columns < 1 || columns > MAX_TOKENS) {
      throw new BundleError(
        `entropy tables: ${sizes.length} tables of ${columns} tokens, expected 1..256 each; export again`,
      );
    }
    this.tables = sizes.length;
    this.columns = columns;
    this.frequencies = frequencies;
    this.sizes = sizes;
    this.minimum = minimum;
    this.kind = kind;
    /** First slot of each token. */
    this.cumulatives = new Uint16Array(frequencies.length);
    for (let table = 0; table < this.tables; table++) this.#checkTable(table);
    /** @type {(Uint8Array | undefined)[]} */
    this.#slots = new Array(this.tables);
  }

  #slots;

  /**
   * The token behind each of a table's 16384 slots.
   *
   * @param {number} table
   */
  slots(table) {
    return (this.#slots[table] ??= this.#slotsOf(table));
  }

  /**
   * Whether the table has a token of its own for a symbol.
   *
   * @param {number} table
   * @param {number} symbol
   */
  holds(table, symbol) {
    if (this.kind[table] === CERTAIN) return symbol === 0;
    const token = this.kind[table] === OFFSET ? symbol - this.minimum[table] : Math.abs(symbol);
    return token >= 0 && token < this.sizes[table] - 1;
  }

  /** @param {number} table */
  #slotsOf(table) {
    const slots = new Uint8Array(TOTAL);
    for (let token = 0, entry = table * this.columns; token < this.sizes[table]; token++, entry++) {
      slots.fill(token, this.cumulatives[entry], this.cumulatives[entry] + this.frequencies[entry]);
    }
    return slots;
  }

  /** @param {number} table */
  #checkTable(table) {
    const [size, minimum, kind] = [this.sizes[table], this.minimum[table], this.kind[table]];
    const first = table * this.columns;
    let sum = 0;
    let fault = "";
    for (let token = 0; token < this.columns; token++) {
      const frequency = this.frequencies[first + token];
      if (token < size && !frequency) fault = "has a token of frequency 0";
      if (token >= size && frequency) fault = "has a frequency beyond its last token";
      this.cumulatives[first + token] = sum;
      sum += frequency;
    }
    if (sum !== TOTAL) fault = `sums to ${sum}, expected ${TOTAL}`;
    if (kind > CERTAIN) fault = `has kind ${kind}, expected 0..2`;
    if (size < (kind === CERTAIN ? 1 : 2) || size > (kind === CERTAIN ? 1 : this.columns)) fault = `has ${size} tokens`;
    if (kind !== OFFSET && minimum) fault = "has a minimum but is not an offset table";
    if (minimum < -MAX_SYMBOL || minimum + size - 2 > MAX_SYMBOL) fault = `holds symbols beyond ${MAX_SYMBOL}`;
    if (fault) throw new BundleError(`entropy tables: table ${table} ${fault}; export the bundle again`);
  }
}
