"""A decoder of streams, from bytes to symbols, written from FORMAT.md alone: slow, obvious, no NumPy, no shared code.

It takes tables as plain lists. Anything that breaks a rule is a `RuleBrokenError`.
"""

import binascii
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from reference_bytes import Reader, RuleBrokenError, must
from reference_tiles import read_sections

__all__ = ["Decoded", "Model", "RuleBrokenError", "Table", "decode_stream"]

OFFSET, MAGNITUDE, CERTAIN = 0, 1, 2


@dataclass
class Table:
    kind: int
    minimum: int
    frequencies: list[int]

    def token(self, slot: int) -> tuple[int, int, int]:
        """Token, frequency and cumulative of a slot."""
        cumulative = 0
        for token, frequency in enumerate(self.frequencies):
            if slot < cumulative + frequency:
                return token, frequency, cumulative
            cumulative += frequency
        raise AssertionError("frequencies do not sum to 16384")

    def holds(self, symbol: int) -> bool:
        size = len(self.frequencies) - 1
        return abs(symbol) < size if self.kind == MAGNITUDE else 0 <= symbol - self.minimum < size


@dataclass
class Model:
    """What a bundle says about sizes."""

    stream_id: bytes
    stride: tuple[int, int]
    channels: int
    hyper_stride: int = 1
    samples: int = 3


@dataclass
class Decoded:
    quality: int
    count: int
    width: int
    height: int
    gray: bool
    sections: dict[int, bytes]
    chunks: list[list[list[int]]]  # chunk, pass, symbol


Passes = Callable[[int, tuple[int, int, int, int], list[list[int]]], tuple[list[int], bool]]
"""From the quality, the chunk (first image, images, first row, rows) and the symbols of its passes so far: the table
indices of the next pass, and whether it is the last."""


def decode_stream(data: bytes, model: Model, tables: list[Table], passes: Passes) -> Decoded:
    must(data[:3] == b"\xae\x45\x44", "signature")
    must(len(data) > 4 and data[3] == 1, "version")
    must(28 <= len(data) < 2**31, "length")
    must(zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little"), "checksum")
    flags = data[4]
    must(flags < 4, "flags")
    reader = Reader(data, len(data) - 8)
    reader.position = 5
    stream_id, quality = reader.take(8), reader.byte()
    count, width, height, number = reader.varint(), reader.varint(), reader.varint(), reader.varint()
    must(1 <= number <= 2**20, "number of chunks")
    lengths = [reader.varint() for _ in range(number - 1)]
    section_lengths: dict[int, int] = {}
    if flags & 1:
        section_count = reader.varint()
        must(1 <= section_count <= 255, "section count")
        for _ in range(section_count):
            section = reader.byte()
            must(all(section > other for other in section_lengths), "order of sections")
            must(1 <= section <= 6 or section >= 128, "unknown section")
            section_lengths[section] = reader.varint()
            must(1 <= section_lengths[section] <= (2**24 if section not in (5, 6) else 2**31), "section length")
    check = binascii.crc_hqx(data[: reader.position], 0xFFFF)
    must(int.from_bytes(reader.take(2), "little") == check, "header check")
    lengths.append(reader.end - reader.position - sum(lengths) - sum(section_lengths.values()))
    must(lengths[-1] >= 0, "sections and chunks longer than the stream")
    must(1 <= quality <= 100, "quality")
    must(1 <= count <= 2**24, "count")
    must(1 <= width <= 65535 and 1 <= height <= 65535, "size")
    must(stream_id == model.stream_id, "stream id")
    sections = {section: reader.take(size) for section, size in section_lengths.items()}
    samples = 1 if flags & 2 else model.samples
    stored, _ = read_sections(sections, count, height, width, samples)
    if stored is not None and stored.whole:
        must(number == 1 and lengths == [0], "symbols where every tile is stored")
        must(data[-8:-4] == bytes(4), "hash of no symbols")
        return Decoded(quality, count, width, height, bool(flags & 2), sections, [])
    spans = list(chunks_of(model, count, -(-height // model.stride[0]), -(-width // model.stride[1])))
    must(number == len(spans), "number of chunks")
    chunks = [
        decode_chunk(reader.take(size), tables, lambda done, span=span: passes(quality, span, done))
        for span, size in zip(spans, lengths, strict=True)
    ]
    hashed = b"".join(s.to_bytes(2, "little", signed=True) for chunk in chunks for part in chunk for s in part)
    must(zlib.crc32(hashed) == int.from_bytes(data[-8:-4], "little"), "symbol hash")
    return Decoded(quality, count, width, height, bool(flags & 2), sections, chunks)


def chunks_of(model: Model, count: int, h: int, w: int) -> Iterator[tuple[int, int, int, int]]:
    per_image = model.channels * h * w
    if per_image <= 2**20:
        images = 2**20 // per_image
        for first in range(0, count, images):
            yield first, min(images, count - first), 0, h
        return
    unit = model.hyper_stride
    must(min(unit, h) * model.channels * w <= 2**22, "rows too wide")
    rows = max(2**20 // (model.channels * w) // unit * unit, unit)
    for image in range(count):
        for first in range(0, h, rows):
            yield image, 1, first, min(rows, h - first)


def decode_chunk(
    data: bytes, tables: list[Table], next_pass: Callable[[list[list[int]]], tuple[list[int], bool]]
) -> list[list[int]]:
    """Symbols of every pass of a chunk."""
    mode, states, words = coder_header(data) if data else (0, [], [])
    lanes, base = len(states), 0 if mode == 12 else 65536
    done: list[list[int]] = []
    any_coded = last = False
    while not last:
        indices, last = next_pass(done)
        coded = [tables[index] for index in indices if tables[index].kind != CERTAIN]
        must(bool(data) or not coded, "an empty payload with coded elements")
        must(len(coded) <= 8192 * lanes, "steps")
        any_coded = any_coded or bool(coded)
        tokens = []
        for i, table in enumerate(coded):
            x = states[i % lanes]
            token, f, cumulative = table.token(x % 16384)
            x = f * (x // 16384) + x % 16384 - cumulative
            if x < 65536 and (words or mode != 12):
                must(bool(words), "a word is missing")
                x = 65536 * x + words.pop(0)
            states[i % lanes] = x
            tokens.append(token)
        escapes = [token == len(table.frequencies) - 1 for token, table in zip(tokens, coded, strict=True)]
        signed = [
            table.kind == MAGNITUDE and token > 0 and not escape
            for token, table, escape in zip(tokens, coded, escapes, strict=True)
        ]
        n = sum(escapes) + -(-sum(signed) // 16)
        must(n == 0 or mode != 12, "raw words with a start at 0")
        if last:
            hidden = [state - base for state in states]
            must(all(0 <= value < 65536 for value in hidden), "start states")
            must(not any(hidden[n:]), "start states without raw words")
            must(len(words) == max(0, n - lanes), "words left")
            raw = hidden[:n] + words
        else:
            must(len(words) >= n, "raw words are missing")
            words, raw = words[: len(words) - n], words[len(words) - n :]
        symbols = iter(symbols_of(coded, tokens, escapes, signed, raw))
        done.append([0 if tables[index].kind == CERTAIN else next(symbols) for index in indices])
    must(any_coded or not data, "a payload without coded elements")
    return done


def coder_header(data: bytes) -> tuple[int, list[int], list[int]]:
    """Lane code, states and words of a payload that is not empty."""
    bits = [byte >> place & 1 for byte in data for place in range(8)]
    used = 0

    def take(size: int) -> int:
        nonlocal used
        must(used + size <= len(bits), "coder header cut short")
        used += size
        return sum(bit << place for place, bit in enumerate(bits[used - size : used]))

    mode = take(4)
    must(mode <= 12, "lane code")
    lanes = 1 if mode == 12 else 2**mode
    exponents = [take(4) for _ in range(lanes)]
    upper = [2**e + take(e) for e in exponents]
    must(take(-used % 8) == 0, "padding of the coder header")
    rest = data[used // 8 :]
    must(len(rest) % 2 == 0, "half a word")
    words = [int.from_bytes(rest[i : i + 2], "little") for i in range(0, len(rest), 2)]
    must(len(words) >= lanes, "lower halves cut short")
    return mode, [65536 * high + low for high, low in zip(upper, words, strict=False)], words[lanes:]


def symbols_of(
    tables: list[Table], tokens: list[int], escapes: list[bool], signed: list[bool], raw: list[int]
) -> list[int]:
    """Symbols of the coded elements of a pass, from its tokens and raw words."""
    values = iter(raw[: sum(escapes)])
    bits = [word >> place & 1 for word in raw[sum(escapes) :] for place in range(16)]
    must(not any(bits[sum(signed) :]), "padding of the sign bits")
    signs = iter(bits)
    symbols = []
    for table, token, escape, has_sign in zip(tables, tokens, escapes, signed, strict=True):
        if escape:
            value = next(values)
            symbol = value - 65536 if value >= 32768 else value
            must(symbol != -32768, "an escape of -32768")
            must(not table.holds(symbol), "an escape that its table holds")
        else:
            symbol = token + table.minimum if table.kind == OFFSET else token
            symbol = -symbol if has_sign and next(signs) else symbol
        symbols.append(symbol)
    return symbols
