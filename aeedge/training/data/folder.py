"""Reads image folders: recursively, any size, broken files named and skipped."""

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aeedge_runtime.errors import AeedgeWarning, ArgumentError, InputError
from aeedge_runtime.images.formats import IMAGE_SUFFIXES
from aeedge_runtime.images.load import load_picture
from aeedge_runtime.images.tiff import ORIENTATION

MEMORY_LIMIT = 6 * 2**30
"""Bytes of decoded pixels up to which a folder is kept in memory; a larger one is decoded when needed."""

GRAY_MODES = ("1", "L", "LA", "La", "I", "F")
"""Pillow's names for gray images, without the depth behind a semicolon."""

NAMED_FILES = 3
"""Files that a warning names; the others are counted."""


def read_pixels(path: Path, channels: int) -> NDArray[np.uint8]:
    """Return an image file as uint8 [H, W, channels], exactly as the codec would see it, without alpha.

    Raises:
        InputError: the file is not a readable image.
    """
    return load_picture(path, channels).pixels


def image_paths(root: Path) -> list[Path]:
    """Return the image files below a folder, in sorted order, hidden ones and those of hidden folders left out.

    Raises:
        ArgumentError: the folder does not exist or holds no image file.
    """
    if not root.is_dir():
        kind = "a file" if root.exists() else "nothing"
        raise ArgumentError(f"{root}: found {kind}, expected a folder of images or a data set's name")
    named = [path for path in root.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES]
    found = [path for path in named if not any(part.startswith(".") for part in path.relative_to(root).parts)]
    if not found:
        raise ArgumentError(f"{root}: found no image files, expected some ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return sorted(found)


def class_names(root: Path, paths: Sequence[Path]) -> list[str]:
    """Return the folders directly below `root` that hold files, in sorted order."""
    return sorted({path.relative_to(root).parts[0] for path in paths if path.parent != root})


def held_out_paths(
    root: Path, paths: Sequence[Path], count: int, seed: int, usable: Callable[[Path], bool] = lambda path: True
) -> set[Path]:
    """Choose `count` usable files by a hash of their path below `root`, so that new files hardly change the choice."""

    def rank(path: Path) -> bytes:
        name = os.fsencode(path.relative_to(root).as_posix())  # a name may be any bytes
        return hashlib.blake2b(f"{seed}/".encode() + name).digest()

    return set(islice(filter(usable, sorted(paths, key=rank)), count))


@lru_cache(1 << 16)
def is_usable(path: Path, channels: int, smallest: tuple[int, int]) -> bool:
    """Return whether an image can be read and is large enough; checked once per process for all splits."""
    try:
        rows, columns = read_pixels(path, channels).shape[:2]
    except InputError:
        return False
    return bool(rows >= smallest[0] and columns >= smallest[1])


class FolderImages:
    """The readable images among some files, in memory when they fit.

    Args:
        root: the folder; the first folder below it names an image's class.
        paths: files below it.
        channels: 1 or 3; images are converted.
        smallest: rows and columns an image must have; smaller ones are named and skipped.
        classes: class folders in the order of their numbers, the same for every split; None for those of `paths`.

    Raises:
        ArgumentError: no image is left.
    """

    def __init__(
        self,
        root: Path,
        paths: Sequence[Path],
        channels: int,
        smallest: tuple[int, int] = (1, 1),
        classes: Sequence[str] | None = None,
    ) -> None:
        self.root, self.channels = root, channels
        found = [_size_and_color(path) for path in paths]
        sizes = [facts[:2] if facts else None for facts in found]
        broken = [path for path, size in zip(paths, sizes, strict=True) if size is None]
        small = [
            path
            for path, size in zip(paths, sizes, strict=True)
            if size is not None and (size[0] < smallest[0] or size[1] < smallest[1])
        ]
        dropped = {*broken, *small}
        self.paths = [path for path in paths if path not in dropped]
        if channels == 1 and (colored := sum(facts[2] for facts in found if facts)):
            message = f"{root}: {colored} color images, and the model has 1 channel; they are converted to gray"
            warnings.warn(message, AeedgeWarning, stacklevel=2)
        _warn(broken, "not readable")
        _warn(small, f"smaller than the training crop of {smallest[0]}x{smallest[1]}")
        pixels = sum(size[0] * size[1] for size in sizes if size is not None)
        self._loaded: list[NDArray[np.uint8]] | None = None
        if pixels * channels <= MEMORY_LIMIT:
            self._load()
        if not self.paths:
            raise ArgumentError(f"{root}: no usable image is left of {len(paths)}; see the warnings")
        names = class_names(root, paths) if classes is None else classes
        self._classes = {name: label for label, name in enumerate(names)}

    def __len__(self) -> int:
        return len(self.paths)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return image `index` as uint8 [H, W, C]; a file that became unreadable gives its neighbor and a warning."""
        if self._loaded is not None:
            return self._loaded[index]
        for place in range(index, index + len(self.paths)):
            try:
                return read_pixels(self.paths[place % len(self.paths)], self.channels)
            except InputError as error:
                warnings.warn(f"skipped: {error}", AeedgeWarning, stacklevel=2)
        raise InputError(f"{self.root}: no image can be read any more")

    def label(self, index: int) -> int | None:
        """Return the number of the class folder of image `index`, or None."""
        parts = self.paths[index].relative_to(self.root).parts
        return self._classes[parts[0]] if len(parts) > 1 else None

    def _load(self) -> None:
        def attempt(path: Path) -> NDArray[np.uint8] | None:
            try:
                return read_pixels(path, self.channels)
            except InputError:
                return None

        with ThreadPoolExecutor(4) as pool:  # decoding releases the interpreter lock
            images = list(pool.map(attempt, self.paths))
        _warn([path for path, image in zip(self.paths, images, strict=True) if image is None], "not readable")
        kept = [(path, image) for path, image in zip(self.paths, images, strict=True) if image is not None]
        self.paths, self._loaded = [path for path, _ in kept], [image for _, image in kept]


def _size_and_color(path: Path) -> tuple[int, int, bool] | None:
    """Return rows and columns of an image as it will be read, and whether it has color; None if it is damaged."""
    try:
        with Image.open(path) as image:
            turned = image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
            color = image.mode.partition(";")[0] not in GRAY_MODES
            return (image.width, image.height, color) if turned else (image.height, image.width, color)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _warn(paths: Sequence[Path], reason: str) -> None:
    if paths:
        more = f" and {len(paths) - NAMED_FILES} more" if len(paths) > NAMED_FILES else ""
        names = ", ".join(str(path) for path in paths[:NAMED_FILES])
        warnings.warn(f"{len(paths)} images skipped, {reason}: {names}{more}", AeedgeWarning, stacklevel=3)
