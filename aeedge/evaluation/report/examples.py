"""Example images: the bundle and a classic codec at equal bytes, on images chosen by their measurements."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aeedge.classic import ClassicCodec
from aeedge.evaluation.data import EvaluationImage
from aeedge.evaluation.evaluate import Evaluation, Rival
from aeedge.evaluation.small import SHEET
from aeedge.figures import spread
from aeedge.mosaic import mosaic, split_mosaic
from aeedge_runtime import Codec
from aeedge_runtime.images.psnr import psnr_db

SHEET_IMAGES = 96
SHEET_COLUMNS = 16
"""Small images that are shown together."""

SHEET_WIDTH = 1060
"""Width on the screen that a sheet of small images is magnified up to, by a whole number."""

SHOWN_SIDE = 1400
"""Most rows and columns of an example; larger images are cropped around their center to keep the report small."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class View:
    """One version of an image: a title, bytes and PSNR in words, and a data URL."""

    title: str
    facts: str
    url: str


@dataclass(frozen=True)
class Example:
    """An image in three versions: the bundle's, the classic codec's, the original; `zoom` is screen pixels a pixel."""

    name: str
    why: str
    width: int
    height: int
    views: tuple[View, ...]
    zoom: int = 1


def choose_examples(
    codec: Codec, images: Sequence[EvaluationImage], evaluation: Evaluation, classic: ClassicCodec, count: int
) -> list[Example]:
    """Return up to `count` examples: the best, the worst and the middle image against the codec, then others.

    Args:
        codec: the bundle.
        images: all images.
        evaluation: the figures.
        classic: the codec shown next to the bundle.
        count: examples.
    """
    if count < 1:
        return []
    quality = middle_quality(evaluation)
    if evaluation.measured_set:
        return [_sheet_example(codec, images, evaluation, classic, quality)]
    rival = next(rival for rival in evaluation.rivals if rival.curve.codec == classic.key)
    by_name = {image.name: image for image in images}
    chosen = _chosen([image.name for image in images], rival, count)
    return [_example(codec, by_name[name], why, classic, quality) for name, why in chosen.items()]


def middle_quality(evaluation: Evaluation) -> int:
    """Return the bundle's quality in the middle of the PSNR range."""
    middle = sum(evaluation.span) / 2
    return min(evaluation.ours.points, key=lambda point: abs(point.psnr_db - middle)).quality


def at_equal_bytes(classic: ClassicCodec, pixels: Pixels, size: int) -> tuple[int, bytes]:
    """Return quality and file of a classic codec nearest to a number of bytes, by bisection."""
    low, high = 0, 100
    files: dict[int, bytes] = {}
    while low <= high:
        middle = (low + high) // 2
        files[middle] = classic.encode(pixels, middle)
        if len(files[middle]) > size:
            high = middle - 1
        else:
            low = middle + 1
    quality = min(files, key=lambda key: abs(len(files[key]) - size))
    return quality, files[quality]


def _chosen(names: Sequence[str], rival: Rival, count: int) -> dict[str, str]:
    """Return names of images and why each is shown."""
    known = sorted((percent, name) for name, percent in rival.images.items() if percent is not None)
    chosen: dict[str, str] = {}
    title = rival.curve.title
    if known:
        for (percent, name), which in (
            (known[0], "best image for the bundle"),
            (known[-1], "worst image for the bundle"),
            (known[len(known) // 2], "middle image"),
        ):
            chosen.setdefault(name, f"{which}: {percent:+.1f} % against {title}".replace("-", "−"))
    for index in spread(len(names), count + len(chosen)):
        chosen.setdefault(names[index], "one of the others")
    return dict(list(chosen.items())[:count])


def _example(codec: Codec, image: EvaluationImage, why: str, classic: ClassicCodec, quality: int) -> Example:
    data = codec.compress(image.pixels, quality)
    ours = codec.decompress(data)
    rival_quality, file = at_equal_bytes(classic, image.pixels, len(data))
    theirs = classic.decode(file, image.pixels.shape[2])
    height, width = image.pixels.shape[:2]
    area = _center(height, width)
    views = (
        View(f"aeedge, quality {quality}", _facts(len(data), image.pixels, ours), _url(ours[area])),
        View(f"{classic.title}, quality {rival_quality}", _facts(len(file), image.pixels, theirs), _url(theirs[area])),
        View("original", f"{width}x{height}", _url(image.pixels[area])),
    )
    shown = image.pixels[area]
    return Example(image.name, why, shown.shape[1], shown.shape[0], views)


def _sheet_example(
    codec: Codec, images: Sequence[EvaluationImage], evaluation: Evaluation, classic: ClassicCodec, quality: int
) -> Example:
    """Return small images side by side, out of one stream and one classic sheet of all images."""
    everything = np.stack([image.pixels for image in images])
    shown = spread(len(images), SHEET_IMAGES)
    data = codec.compress_batch(everything, quality)
    ours = codec.decompress_batch(data)
    sheet = mosaic(everything, math.ceil(math.sqrt(len(everything))), background=0)
    rival_quality, file = at_equal_bytes(classic, sheet, len(data))
    theirs = split_mosaic(classic.decode(file, everything.shape[3]), everything.shape)
    views = tuple(
        View(title, facts, _url(mosaic(pixels[shown], SHEET_COLUMNS, background=0)))
        for title, facts, pixels in (
            (f"aeedge, quality {quality}", _facts(len(data), everything, ours, len(images)), ours),
            (
                f"{classic.title}, one sheet, quality {rival_quality}",
                _facts(len(file), everything, theirs, len(images)),
                theirs,
            ),
            ("original", f"{len(shown)} of {len(images)} images", everything),
        )
    )
    rows = -(-len(shown) // SHEET_COLUMNS)
    height, width = everything.shape[1] * rows, everything.shape[2] * SHEET_COLUMNS
    key = classic.key + SHEET
    found = next(rival for rival in evaluation.rivals if rival.curve.codec == key)
    percent = "not covered" if found.psnr.percent is None else f"{found.psnr.percent:+.1f} %".replace("-", "−")
    return Example(
        f"{len(shown)} small images",
        f"{percent} against {found.curve.title}",
        width,
        height,
        views,
        max(1, SHEET_WIDTH // width),
    )


def _facts(size: int, original: Pixels, restored: Pixels, count: int = 1) -> str:
    each = f"{size / count:,.1f} bytes an image" if count > 1 else f"{size:,} bytes"
    return f"{each}, {psnr_db(original, restored):.2f} dB"


def _center(height: int, width: int) -> tuple[slice, slice]:
    rows, columns = min(height, SHOWN_SIDE), min(width, SHOWN_SIDE)
    top, left = (height - rows) // 2, (width - columns) // 2
    return slice(top, top + rows), slice(left, left + columns)


def _url(pixels: Pixels) -> str:
    """Return a lossless data URL, which adds nothing to what a codec did."""
    file = io.BytesIO()
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    picture.save(file, "WEBP", lossless=True, quality=50, method=3)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
