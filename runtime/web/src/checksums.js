/** The checksums of streams and bundles. */
import { DeviceError } from "./errors.js";

/** zlib's CRC-32 of every byte, followed by zero to seven zero bytes: eight rows of 256. */
const CRC32 = new Uint32Array(8 * 256);
for (let byte = 0; byte < 256; byte++) {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  CRC32[byte] = value;
}
for (let i = 256; i < CRC32.length; i++) CRC32[i] = (CRC32[i - 256] >>> 8) ^ CRC32[CRC32[i - 256] & 255];

/**
 * zlib's CRC-32, eight bytes a step.
 *
 * @param {Uint8Array} data
 * @param {number} [start] the value for the bytes before these
 */
export function crc32(data, start = 0) {
  let crc = ~start;
  let i = 0;
  for (; i + 8 <= data.length; i += 8) {
    crc ^= data[i] | (data[i + 1] << 8) | (data[i + 2] << 16) | (data[i + 3] << 24);
    crc =
      CRC32[1792 + (crc & 255)] ^
      CRC32[1536 + ((crc >>> 8) & 255)] ^
      CRC32[1280 + ((crc >>> 16) & 255)] ^
      CRC32[1024 + (crc >>> 24)] ^
      CRC32[768 + data[i + 4]] ^
      CRC32[512 + data[i + 5]] ^
      CRC32[256 + data[i + 6]] ^
      CRC32[data[i + 7]];
  }
  for (; i < data.length; i++) crc = (crc >>> 8) ^ CRC32[(crc ^ data[i]) & 255];
  return ~crc >>> 0;
}

/**
 * CRC-16 with polynomial 0x1021 and start 0xFFFF, not reflected.
 *
 * @param {Uint8Array} data
 */
export function crc16(data) {
  let crc = 0xffff;
  for (const byte of data) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
  }
  return crc;
}

/**
 * SHA-256 as 64 hexadecimal digits.
 *
 * @param {Uint8Array} data
 * @throws {DeviceError} the page is not in a secure context, so that browsers give it no SHA-256.
 */
export async function sha256(data) {
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) throw new DeviceError("no SHA-256 on this page; serve it by https, or from localhost");
  return toHex(new Uint8Array(await subtle.digest("SHA-256", /** @type {Uint8Array<ArrayBuffer>} */ (data))));
}

/** @param {Uint8Array} data */
export function toHex(data) {
  return Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {string} hex */
export function fromHex(hex) {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}
