/**
 * Limits of the formats and of this reader. A value is checked against its limit before anything is allocated for it;
 * aeedge_runtime/limits.py gives the reason of each.
 */

export const MAX_DIMENSION = 65_535;
export const MAX_COUNT = 2 ** 24;
/** Padded pixels of one call, unless the caller says otherwise. */
export const MAX_PIXELS = 178_956_970;
export const MAX_STREAM_BYTES = 2 ** 31 - 1;
export const MAX_VARINT_BYTES = 5;
/** Latent symbols that a chunk aims at. */
export const CHUNK_SYMBOLS = 2 ** 20;
/** Latent symbols of a chunk that must hold whole rows of a very wide image. */
export const MAX_CHUNK_SYMBOLS = 2 ** 22;
export const MAX_CHUNKS = 2 ** 20;
export const MAX_SECTION_BYTES = 2 ** 24;
export const MAX_LANES = 2048;
/** Coded elements of one pass for each lane. */
export const MAX_STEPS = 8192;
export const MAX_TABLES = 256;
export const MAX_TOKENS = 256;
export const MAX_SYMBOL = 32_767;
export const MAX_HYPER_SYMBOL = 127;
export const MAX_NAME_BYTES = 4096;
export const MAX_MANIFEST_BYTES = 2 ** 22;
export const MAX_FILE_BYTES = 2 ** 31 - 1;
/** Entries of an .aeb file. */
export const MAX_FILES = 10_000;
export const MAX_CHANNELS = 65_536;
export const MAX_GROUPS = 64;
export const MAX_HYPER_STRIDE = 64;
export const QUALITIES = 100;
/** Table indices that a prior network can give. */
export const SCALES = 64;
