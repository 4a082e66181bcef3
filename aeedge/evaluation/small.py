"""Evaluates small images of one size as a set, because the header of a file would decide otherwise.

The bundle packs them into one stream. Its rivals are one canvas with all images side by side (a sheet) in each classic
codec, a file for each image in the codec that is best for that very image, and lossless archives of them all.
"""

from __future__ import annotations

import io
import lzma
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeedge.classic import ClassicCodec, lossless_files
from aeedge.evaluation.measure import Plan, Progress, silent
from aeedge.evaluation.points import AEEDGE, Point
from aeedge.mosaic import mosaic, split_mosaic
from aeedge_runtime import AeedgeError, Codec
from aeedge_runtime.images.psnr import psnr_db

SET = "the set"
"""Name of all images together, in points."""

FILES = "-files"
SHEET = "-sheet"
"""Endings of the codec keys: a file for each image, one canvas for all."""

ONE_SHEET = ", one sheet"
"""Ending of a title: one canvas for all."""

SHEET_SIDE = 16000
"""Most rows or columns of a sheet: WebP ends at 16,383."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Match:
    """Files of single images at one quality of the bundle: bytes of all, at the same or a better PSNR of each image.

    Attributes:
        quality: of the bundle.
        psnr_db: of the bundle, pooled.
        packed_bytes: the bundle, one stream.
        file_bytes: the bundle, a file each.
        sheet_bytes: the smallest sheet that is as good as the one stream, lossless ones included.
        sheet: its codec and quality.
        best_bytes: for each image the smallest classic file, lossless ones included.
        chosen: how often each codec was the smallest.
    """

    quality: int
    psnr_db: float
    packed_bytes: int
    file_bytes: int
    sheet_bytes: int
    sheet: str
    best_bytes: int
    chosen: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return dict(vars(self))


@dataclass(frozen=True)
class SetMeasurement:
    """Everything measured on a set: points of the set as a whole, matches, and bytes of lossless archives by name."""

    points: tuple[Point, ...]
    matches: tuple[Match, ...]
    lossless: dict[str, int]


def measure_set(codec: Codec, images: Pixels, plan: Plan, progress: Progress = silent) -> SetMeasurement:
    """Measure a set, uint8 [N, H, W, C]; times of points are milliseconds per image."""
    codec.decompress_batch(codec.compress_batch(images[:2]))  # opens the sessions
    points: list[Point] = []
    single: dict[int, list[tuple[int, float]]] = {}
    sheet = _sheet(images)
    steps = 2 * len(plan.qualities) + sum(2 * len(classic.qualities) for classic in plan.classics) + 1
    rivals: list[dict[str, list[tuple[int, float]]]] = [{} for _ in images]
    for quality in plan.qualities:
        progress(len(points), steps, "steps")
        points.append(_packed(codec, images, quality))
        progress(len(points), steps, "steps")
        point, single[quality] = _each(
            images, AEEDGE + FILES, quality, partial(codec.compress, quality=quality), codec.decompress
        )
        points.append(point)
    for classic in plan.classics:
        for quality in classic.qualities:
            progress(len(points), steps, "steps")
            points.append(_as_sheet(classic, sheet, images, quality, plan.threads))
            progress(len(points), steps, "steps")
            points.append(_as_files(classic, images, quality, rivals))
    progress(len(points), steps, "steps")
    lossless = _archives(images, sheet, rivals)
    packed = {point.quality: point for point in points if point.codec == AEEDGE}
    sheets = _sheets(points, lossless, plan.classics)
    matches = tuple(_match(packed[quality], single[quality], rivals, sheets) for quality in plan.qualities)
    return SetMeasurement(tuple(points), matches, lossless)


def _sheet(images: Pixels) -> Pixels:
    columns = math.ceil(math.sqrt(len(images)))
    if columns * max(images.shape[1:3]) > SHEET_SIDE:
        raise AeedgeError(f"{len(images):,} images do not fit on one canvas of the classic codecs; use --limit")
    return mosaic(images, columns, background=0)


def _packed(codec: Codec, images: Pixels, quality: int) -> Point:
    start = time.perf_counter()
    data = codec.compress_batch(images, quality)
    middle = time.perf_counter()
    restored = codec.decompress_batch(data)
    return _point(AEEDGE, quality, images, restored, len(data), (start, middle, time.perf_counter()))


def _as_sheet(classic: ClassicCodec, sheet: Pixels, images: Pixels, quality: int, threads: int) -> Point:
    start = time.perf_counter()
    data = classic.encode(sheet, quality, threads)
    middle = time.perf_counter()
    restored = classic.decode(data, images.shape[3])
    end = time.perf_counter()
    return _point(
        classic.key + SHEET, quality, images, split_mosaic(restored, images.shape), len(data), (start, middle, end)
    )


def _as_files(
    classic: ClassicCodec, images: Pixels, quality: int, rivals: Sequence[dict[str, list[tuple[int, float]]]]
) -> Point:
    """Measure a file for each image, and add each to the rivals of its image."""
    point, sizes = _each(
        images,
        classic.key + FILES,
        quality,
        lambda image: classic.encode(image, quality),
        lambda data: classic.decode(data, images.shape[3]),
    )
    for rival, size in zip(rivals, sizes, strict=True):
        rival.setdefault(classic.title, []).append(size)
    return point


def _each(
    images: Pixels,
    key: str,
    quality: int,
    encode: Callable[[Pixels], bytes],
    decode: Callable[[bytes], Pixels],
) -> tuple[Point, list[tuple[int, float]]]:
    """Measure a file for each image; return the point, and bytes and PSNR of every file."""
    start = time.perf_counter()
    files = [encode(image) for image in images]
    middle = time.perf_counter()
    restored = np.stack([decode(data) for data in files])
    end = time.perf_counter()
    sizes = [(len(data), psnr_db(image, back)) for data, image, back in zip(files, images, restored, strict=True)]
    return _point(key, quality, images, restored, sum(map(len, files)), (start, middle, end)), sizes


def _point(
    key: str, quality: int, images: Pixels, restored: Pixels, size: int, times: tuple[float, float, float]
) -> Point:
    start, middle, end = times
    count, height, width, _ = images.shape
    psnr = psnr_db(images, restored)
    scale = 1000 / count
    return Point(
        SET, key, quality, count * height * width, size, psnr, None, (middle - start) * scale, (end - middle) * scale
    )


def _archives(images: Pixels, sheet: Pixels, rivals: Sequence[dict[str, list[tuple[int, float]]]]) -> dict[str, int]:
    """Return the bytes of lossless forms of the set, and add the files of single images to their rivals."""
    archive = io.BytesIO()
    np.savez_compressed(archive, images=images)
    sizes = {"npz (deflate)": len(archive.getvalue()), "xz": len(lzma.compress(images.tobytes(), preset=9))}
    sizes |= {f"{name}{ONE_SHEET}": len(data) for name, data in lossless_files(sheet).items()}
    for image, rival in zip(images, rivals, strict=True):
        for name, data in lossless_files(image).items():
            rival[name] = [(len(data), float("inf"))]
            key = f"{name}, a file each"
            sizes[key] = sizes.get(key, 0) + len(data)
    return sizes


def _sheets(
    points: Sequence[Point], lossless: Mapping[str, int], classics: Sequence[ClassicCodec]
) -> list[tuple[str, int, float]]:
    """Return codec and quality, bytes and PSNR of every sheet."""
    titles = {classic.key + SHEET: classic.title for classic in classics}
    found = [
        (f"{titles[point.codec]}, quality {point.quality}", point.total_bytes, point.psnr_db)
        for point in points
        if point.codec in titles
    ]
    exact = [(name.removesuffix(ONE_SHEET), size, float("inf")) for name, size in lossless.items() if ONE_SHEET in name]
    return found + exact


def _match(
    packed: Point,
    ours: Sequence[tuple[int, float]],
    rivals: Sequence[dict[str, list[tuple[int, float]]]],
    sheets: Sequence[tuple[str, int, float]],
) -> Match:
    total, chosen = 0, dict[str, int]()
    for (_, least), rival in zip(ours, rivals, strict=True):
        smallest = {
            name: min(size for size, psnr in sizes if psnr >= least)
            for name, sizes in rival.items()
            if any(psnr >= least for _, psnr in sizes)
        }
        best = min(smallest, key=lambda name: smallest[name])
        total += smallest[best]
        chosen[best] = chosen.get(best, 0) + 1
    files = sum(size for size, _ in ours)
    sheet, sheet_bytes, _ = min((item for item in sheets if item[2] >= packed.psnr_db), key=lambda item: item[1])
    return Match(packed.quality, packed.psnr_db, packed.total_bytes, files, sheet_bytes, sheet, total, chosen)
