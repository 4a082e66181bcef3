/** Byte arrays: joining them, and reading fields in order. */
import { StreamError } from "./errors.js";
import { MAX_VARINT_BYTES } from "./limits.js";

export const DAMAGED = "the stream is damaged or cut short, get it again";

const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Reads fields of a stream's header, never beyond `end`. */
export class Cursor {
  /**
   * @param {Uint8Array} data
   * @param {number} position
   * @param {number} end
   */
  constructor(data, position, end) {
    this.data = data;
    this.position = position;
    this.end = end;
  }

  left() {
    return this.end - this.position;
  }

  /**
   * @param {number} size
   * @param {string} what
   */
  take(size, what) {
    if (size > this.left())
      throw new StreamError(`stream: ${this.left()} bytes where the ${what} needs ${size}; ${DAMAGED}`);
    this.position += size;
    return this.data.subarray(this.position - size, this.position);
  }

  /** @param {string} what */
  byte(what) {
    return this.take(1, what)[0];
  }

  /**
   * An integer up to 2^35 - 1: more than JavaScript's shifts can hold, so it is summed.
   *
   * @param {string} what
   */
  varint(what) {
    let value = 0;
    for (let place = 0; place < MAX_VARINT_BYTES; place++) {
      const byte = this.byte(what);
      value += (byte & 127) * 2 ** (7 * place);
      if (byte < 128) {
        if (place && !byte) throw new StreamError(`stream: the ${what} is not in its shortest form; ${DAMAGED}`);
        return value;
      }
    }
    throw new StreamError(`stream: the ${what} is longer than ${MAX_VARINT_BYTES} bytes; ${DAMAGED}`);
  }
}

/**
 * Append a varint in its shortest form.
 *
 * @param {number[]} bytes
 * @param {number} value
 */
export function pushVarint(bytes, value) {
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  bytes.push(value);
}

/** @param {readonly Uint8Array[]} parts */
export function concat(parts) {
  const whole = new Uint8Array(parts.reduce((bytes, part) => bytes + part.length, 0));
  let position = 0;
  for (const part of parts) {
    whole.set(part, position);
    position += part.length;
  }
  return whole;
}

/** @param {Uint8Array} data */
export function viewOf(data) {
  return new DataView(data.buffer, data.byteOffset, data.byteLength);
}

/**
 * Little-endian bytes of 16-bit values; where the machine is little-endian they are not copied.
 *
 * @param {Int16Array | Uint16Array} values
 */
export function bytesOf16(values) {
  if (LITTLE_ENDIAN) return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const bytes = new Uint8Array(values.byteLength);
  for (let i = 0; i < values.length; i++) {
    bytes[2 * i] = values[i] & 255;
    bytes[2 * i + 1] = (values[i] >> 8) & 255;
  }
  return bytes;
}

/**
 * The 16-bit words that little-endian bytes hold.
 *
 * @param {Uint8Array} bytes an even number
 */
export function wordsOf(bytes) {
  const words = new Uint16Array(bytes.length / 2);
  for (let i = 0; i < words.length; i++) words[i] = bytes[2 * i] | (bytes[2 * i + 1] << 8);
  return words;
}
