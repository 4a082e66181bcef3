"""Limits of the formats and of this reader, with their reasons; limits of a single module are in that module.

A reader checks a value against its limit before it allocates anything because of it.
"""

MAX_DIMENSION = 65_535
"""Width and height in pixels: what JPEG allows, and what keeps every product of the geometry in 64 bits."""

MAX_COUNT = 1 << 24
"""Images in one stream: sixteen million digits are one file; more belong in several."""

MAX_PIXELS = 178_956_970
"""Padded pixels of one decode (a default, the caller may change it): the size at which Pillow calls an image a bomb."""

SLAB_PIXELS = 1 << 21
"""Pixels that are converted or compared at once: bounds the work arrays that a large image needs besides itself."""

MAX_STREAM_BYTES = (1 << 31) - 1
"""Bytes of one stream: every length and offset then fits a signed 32-bit integer on any device."""

MAX_VARINT_BYTES = 5
"""Bytes of one varint: enough for 32 bits."""

CHUNK_SYMBOLS = 1 << 20
"""Latent symbols that a chunk aims at: bounds the memory of both sides and lets coding and networks overlap."""

MAX_CHUNK_SYMBOLS = 1 << 22
"""Latent symbols of a chunk that cannot be smaller, because it must hold whole rows of a very wide image."""

MAX_CHUNKS = 1 << 20
"""Chunks of one stream: a chunk has half a million symbols or is an image's last, and a reader lists their lengths."""

MAX_SECTION_BYTES = 1 << 24
"""Bytes of one section as stored: an ICC profile or EXIF block beyond 16 MiB is not metadata."""

MAX_LANES = 2048
"""Interleaved coder states: beyond this their work arrays leave the first-level cache and nothing is gained."""

MAX_STEPS = 8192
"""Coder steps in one pass of a chunk: bounds decoding time, because a forged chunk may spend no bytes on a symbol."""

MAX_TABLES = 256
"""Tables of a bank: a table index is one byte."""

MAX_TOKENS = 256
"""Tokens of one table, the escape included: a token is one byte."""

MAX_SYMBOL = 32_767
"""Magnitude of a symbol: symbols are 16-bit, and -32768 is left free so that a sign can always be flipped."""

MAX_HYPER_SYMBOL = 127
"""Magnitude of a hyper symbol: keeps every sum of the exact prior below 2^24."""

MAX_NAME_BYTES = 4096
"""Bytes of one name: the longest path that Linux opens."""

MAX_SHEET_TILES = 2048
"""Tiles of one lossless image: 8.4 megapixels, a screen of 3840 x 2160, which takes some 100 MB to decode."""

MAX_SHEET_COLUMNS = 255
"""Tile columns of one lossless image: at most 16,351 pixels, as WebP has sides of at most 16,383."""

MAX_SHEET_ROWS = 170
"""Tile rows of one lossless image: at most 16,150 pixels, as tiles of small images have up to 95 rows."""
