"""Loads the images of an evaluation: a folder of image files, MNIST's own files, or an `.npz`."""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aeedge.figures import printable, spread
from aeedge.reading import ReadingReport, read_pixels
from aeedge.sources import Source, find_sources
from aeedge.training.data.idx import read_idx
from aeedge_runtime import InputError
from aeedge_runtime.images.formats import IMAGE_SUFFIXES
from aeedge_runtime.remote import Location

TEST_FILES = ("t10k-images-idx3-ubyte", "t10k-images-idx3-ubyte.gz")
"""Names of MNIST's and Fashion-MNIST's test images."""

SMALL_SIDE = 64
"""Images of one size with no side above this are evaluated as a set, see `small`."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class EvaluationImage:
    """One image: its name and uint8 [H, W, C], C as the bundle takes it."""

    name: str
    pixels: Pixels


def open_images(
    place: Location, channels: int, limit: int | None, report: ReadingReport | None = None
) -> list[EvaluationImage]:
    """Read the images at a path, and warn about those that are left out and about changes on reading.

    Args:
        place: folder of images or image file, both also at a URL, folder with MNIST's files (or one of these), or
            `.npz` of one uint8 array [N, H, W] or [N, H, W, C].
        channels: 1 or 3; images are converted.
        limit: most images to read, spread evenly over all; None for all.
        report: filled with the changes and with the files that are left out.

    Raises:
        InputError: the path does not exist, nothing in it can be read, or a file of many images is damaged.
    """
    if not place.exists():
        raise InputError(f"{printable(place)}: does not exist; expected a folder of images or a file of them")
    digits = _idx_file(place) if isinstance(place, Path) else None
    if digits is not None:
        return _from_array(_digits(digits), channels, limit)
    if place.suffix == ".npz":
        return _from_array(_read_npz(place), channels, limit)
    return _from_files(find_sources([os.fspath(place)], IMAGE_SUFFIXES), channels, limit, report or ReadingReport())


def is_small_set(images: Sequence[EvaluationImage]) -> bool:
    """Return whether images are evaluated as a set: one size, no side above SMALL_SIDE."""
    shapes = {image.pixels.shape for image in images}
    return len(shapes) == 1 and max(images[0].pixels.shape[:2]) <= SMALL_SIDE


def _idx_file(place: Path) -> Path | None:
    if place.name in TEST_FILES or "-idx3-ubyte" in place.name:
        return place
    found = (folder / name for folder in (place, place / "raw", place / "MNIST" / "raw") for name in TEST_FILES)
    return next((path for path in found if path.is_file()), None)


def _digits(path: Path) -> Pixels:
    images = read_idx(path)
    if images.ndim != 3:
        raise InputError(f"{printable(path)}: found an array of {images.ndim} dimensions, expected images [N, H, W]")
    return images


def _read_npz(path: Location) -> Pixels:
    try:
        archive = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
        arrays = {name: archive[name] for name in getattr(archive, "files", ())}  # an .npy has none
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{printable(path)}: cannot be read as .npz ({error})") from error
    images = [array for array in arrays.values() if array.dtype == np.uint8 and array.ndim in (3, 4)]
    if len(images) != 1:
        raise InputError(f"{printable(path)}: found {len(images)} arrays of images, expected one uint8 [N, H, W, (C)]")
    return np.asarray(images[0])


def _from_array(array: Pixels, channels: int, limit: int | None) -> list[EvaluationImage]:
    chosen = spread(len(array), limit)
    if not chosen:
        raise InputError("no images, expected at least one")
    report = ReadingReport()
    images = []
    for index in chosen:
        pixels, notes = read_pixels(array[index], channels)
        report.notes.update(notes)
        images.append(EvaluationImage(f"{index:05}", pixels))
    report.warn(stacklevel=3)
    return images


def _from_files(
    sources: Sequence[Source], channels: int, limit: int | None, report: ReadingReport
) -> list[EvaluationImage]:
    images: list[EvaluationImage] = []
    for index in spread(len(sources), limit):
        source = sources[index]
        try:
            pixels, notes = read_pixels(source.read(), channels)
        except InputError as error:
            report.fail(source.name, error)
            continue
        report.notes.update(notes)
        images.append(EvaluationImage(source.relative.as_posix(), pixels))
    report.warn(stacklevel=3)
    if not images:
        raise InputError("none of the images can be read; see the warnings")
    return images
