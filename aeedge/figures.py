"""Text for people: numbers, sizes, names and tables, each on one line and in one style.

Imports nothing but the standard library, so that every room and `aeedge --help` can use it.
"""

import math
import os
from collections.abc import Sequence
from typing import Literal


def printable(name: str | bytes | os.PathLike[str]) -> str:
    """Return a name or message on one line, with control characters and bytes that are not UTF-8 escaped.

    Args:
        name: text, a path, or the bytes of a path.
    """
    text = os.fsdecode(name)
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def with_name(name: str, message: str) -> str:
    """Put an input's name in front of a message, in place of what the runtime calls bytes without a name."""
    for prefix in ("image bytes: ", "stream: "):
        message = message.removeprefix(prefix)
    return message if message.startswith(f"{name}:") else f"{name}: {message}"


def count(number: int, noun: str) -> str:
    """Return `1 image`, `2 images`, `1,200 images`, `2 passes`."""
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def size(octets: float) -> str:
    """Return a number of bytes for people: `15 bytes`, `1.23 kB`, `45.6 MB` (powers of 1000)."""
    if octets < 1000:
        return count(round(octets), "byte")
    power = min(3, math.floor(math.log10(float(f"{octets:.3g}")) / 3))
    return f"{figure(octets / 1000**power)} {('kB', 'MB', 'GB')[power - 1]}"


def figure(value: float, digits: int = 3) -> str:
    """Return a number with a few significant digits, and never with an exponent for a large one."""
    text = f"{value:.{digits}g}"
    return f"{value:,.0f}" if "e+" in text else text


def exactness(stored: int, total: int, max_error: int | None) -> list[str]:
    """Describe the error of a stream: `lossless`, `23 of 144 tiles stored exactly`."""
    if max_error == 0 and stored == total:
        return ["lossless"]
    parts = [f"{stored:,} of {count(total, 'tile')} stored exactly"] if 0 < stored < total else []
    return parts if max_error is None else [*parts, f"error at most {max_error}"]


def spread(total: int, limit: int | None) -> list[int]:
    """Return the indices of at most `limit` of `total` items, spread evenly from the first to the last."""
    if limit is None or limit >= total:
        return list(range(total))
    step = (total - 1) / max(1, limit - 1)
    return [round(index * step) for index in range(limit)]


def table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], words: int, style: Literal["simple", "pipe"] = "simple"
) -> str:
    """Return rows and columns as text.

    Args:
        headers: one per column.
        rows: one cell per column each.
        words: number of leading columns that hold words and are aligned left; the others hold numbers.
        style: `simple` for a terminal, `pipe` for Markdown.
    """
    import tabulate

    tabulate.MIN_PADDING = 0  # its two extra blanks per column make `aeedge bench` wider than a terminal
    sides = ["left" if column < words else "right" for column in range(len(headers))]
    text: str = tabulate.tabulate(rows, headers, tablefmt=style, colalign=sides, disable_numparse=True)
    return text


def _escaped(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as `os.fsdecode` represents it
        return f"\\x{code - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode()
