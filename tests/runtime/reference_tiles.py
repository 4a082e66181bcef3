"""A reader of stored tiles and of the bound, written from FORMAT.md alone: slow, obvious, no NumPy, no shared code.

Only the VP8L bit stream itself, which RFC 9649 specifies, is left to Pillow.
"""

import io
import zlib
from dataclasses import dataclass

from PIL import Image
from reference_bytes import Reader, must

Image_ = list[list[list[int]]]
"""Rows of pixels, each a list of samples."""


@dataclass
class Tiles:
    """Tiles that a section holds: the samples of each, by its row and column."""

    rows: int
    columns: int
    pixels: dict[tuple[int, int], Image_]

    @property
    def whole(self) -> bool:
        return len(self.pixels) == self.rows * self.columns


def edges(side: int) -> list[int]:
    """Where tiles start, and where the last one ends."""
    return [64 * i for i in range(max(1, (side + 32) // 64))] + [side]


def read_tiles(data: bytes, start: int, count: int, height: int, width: int, samples: int, alpha: bool) -> Tiles:
    """What follows `start`: runs, lengths, blobs."""
    reader = Reader(data, len(data))
    reader.position = start
    down, across = edges(height), edges(width)
    tops = [image * height + top for image in range(count) for top in down[:-1]] + [count * height]
    rows, columns = len(tops) - 1, len(across) - 1
    bits: list[bool] = []
    runs = 0
    while len(bits) < rows * columns:
        run = reader.varint()
        must(run > 0 or runs == 0, "an empty run")
        must(run <= rows * columns - len(bits), "runs beyond the last tile")
        bits += [runs % 2 == 1] * run
        runs += 1
    must(any(bits), "no tile")
    held = [(i // columns, i % columns) for i, bit in enumerate(bits) if bit]
    wide = min(columns, 255)
    high = min(170, 2048 // wide)
    sheets = sorted({(row // high, column // wide) for row, column in held})
    lengths = [reader.varint() for _ in sheets[1:]]
    must(0 not in lengths, "an empty blob")
    found: dict[tuple[int, int], Image_] = {}
    for sheet, length in zip(sheets, [*lengths, None], strict=True):
        tiles = [(row, column) for row, column in held if (row // high, column // wide) == sheet]
        top, bottom = tops[min(row for row, _ in tiles)], tops[max(row for row, _ in tiles) + 1]
        left, right = across[min(column for _, column in tiles)], across[max(column for _, column in tiles) + 1]
        blob = reader.take(reader.end - reader.position if length is None else length)
        pixels = read_blob(blob, bottom - top, right - left, samples + alpha, alpha)
        for row, column in tiles:
            lines = pixels[tops[row] - top : tops[row + 1] - top]
            found[row, column] = [line[across[column] - left : across[column + 1] - left] for line in lines]
    return Tiles(rows, columns, found)


def read_blob(blob: bytes, height: int, width: int, samples: int, alpha: bool) -> Image_:
    must(len(blob) > 0, "an empty blob")
    if blob[0] == 0x78:
        return unfiltered(blob, height, width, samples)
    must(blob[0] == 0x2F and len(blob) >= 5, "kind of blob")
    fields = int.from_bytes(blob[1:5], "little")
    said = fields % 2**14 + 1, fields // 2**14 % 2**14 + 1, fields // 2**28 % 2, fields // 2**29
    must(said == (width, height, int(alpha), 0), "VP8L header")
    padded = blob + bytes(len(blob) % 2)
    chunk = b"VP8L" + len(blob).to_bytes(4, "little") + padded
    file = b"RIFF" + (4 + len(chunk)).to_bytes(4, "little") + b"WEBP" + chunk
    try:
        argb = list(Image.open(io.BytesIO(file)).convert("RGBA").get_flattened_data())
    except OSError:
        must(False, "VP8L data")
    picked = {1: (1,), 2: (1, 3), 3: (0, 1, 2), 4: (0, 1, 2, 3)}[samples]
    flat = [[pixel[i] for i in picked] for pixel in argb]
    return [flat[row * width : (row + 1) * width] for row in range(height)]


def unfiltered(blob: bytes, height: int, width: int, samples: int) -> Image_:
    """PNG's filters undone."""
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(blob, height * (1 + width * samples) + 1)
    except zlib.error:
        must(False, "zlib data")
    must(len(plain) == height * (1 + width * samples), "number of samples")
    must(inflater.eof and not inflater.unused_data, "end of the zlib data")
    above = [0] * (width * samples)
    rows = []
    for row in range(height):
        line = plain[row * (1 + width * samples) :][: 1 + width * samples]
        must(line[0] < 5, "filter")
        done: list[int] = []
        for i, value in enumerate(line[1:]):
            a = done[i - samples] if i >= samples else 0
            b, c = above[i], above[i - samples] if i >= samples else 0
            p = a + b - c
            nearest = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            done.append((value + (0, a, b, (a + b) // 2, nearest)[line[0]]) % 256)
        rows.append([done[i : i + samples] for i in range(0, len(done), samples)])
        above = done
    return rows


def read_sections(
    sections: dict[int, bytes], count: int, height: int, width: int, samples: int
) -> tuple[Tiles | None, tuple[int, int, Tiles | None] | None]:
    """Stored tiles; and the bound, the step of its residual and the tiles that have one."""
    stored = bound = None
    if 5 in sections:
        flags = sections[5][0]
        must(flags < 2, "flags of stored tiles")
        stored = read_tiles(sections[5], 1, count, height, width, samples, flags == 1)
        must(not flags or (stored.whole and 1 not in sections), "alpha in stored tiles")
    if 6 in sections:
        reader = Reader(sections[6], len(sections[6]))
        bound = reader.byte(), 0, None
        if reader.position < reader.end:
            step = reader.varint()
            must(1 <= step <= 511, "step")
            residual = read_tiles(sections[6], reader.position, count, height, width, samples, False)
            must(stored is None or not set(stored.pixels) & set(residual.pixels), "a stored tile with a residual")
            bound = bound[0], step, residual
    return stored, bound


def painted(pixels: Image_, count: int, height: int, width: int, samples: int, sections: dict[int, bytes]) -> Image_:
    """The images, below one another, with what the sections put there; rows are lists of pixels."""
    stored, bound = read_sections(sections, count, height, width, samples)
    across = edges(width)
    tops = [image * height + top for image in range(count) for top in edges(height)[:-1]]
    for (row, column), tile in (stored.pixels if stored else {}).items():
        for y, line in enumerate(tile):
            pixels[tops[row] + y][across[column] : across[column] + len(line)] = line
    if bound and bound[2]:
        for (row, column), tile in bound[2].pixels.items():
            for y, line in enumerate(tile):
                for x, residual in enumerate(line):
                    place = pixels[tops[row] + y][across[column] + x]
                    signed = [value - 256 if value > 127 else value for value in residual]
                    pixels[tops[row] + y][across[column] + x] = [
                        min(max(s + bound[1] * r, 0), 255) for s, r in zip(place, signed, strict=True)
                    ]
    return pixels
