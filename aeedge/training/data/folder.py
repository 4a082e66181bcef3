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

from aeedge.figures import count, printable
from aeedge.reading import NAMED_FILES, ReadingReport, read_pixels
from aeedge.sources import list_folder
from aeedge_runtime.errors import AeedgeWarning, ArgumentError, InputError
from aeedge_runtime.images.formats import IMAGE_SUFFIXES
from aeedge_runtime.images.load import probe_size

MEMORY_LIMIT = 6 * 2**30
"""Bytes of decoded pixels up to which a folder is kept in memory; a larger one is decoded when needed."""


def image_paths(root: Path, *, warn: bool = False) -> list[Path]:
    """Return the image files below a folder, in sorted order, hidden ones and those of hidden folders left out.

    Args:
        root: the folder.
        warn: warn about what was left out.

    Raises:
        ArgumentError: the folder does not exist or holds no image file.
    """
    if not root.is_dir():
        kind = "a file" if root.exists() else "nothing"
        raise ArgumentError(f"{root}: found {kind}, expected a folder of images or a data set's name")
    listing = list_folder(root, IMAGE_SUFFIXES)
    left_out, named = listing.left_out, listing.paths
    found = [path for path in named if not any(part.startswith(".") for part in path.relative_to(root).parts)]
    if len(found) < len(named):
        left_out.append(f"{root}: {count(len(named) - len(found), 'hidden file')} left out")
    if not found:
        raise ArgumentError(f"{root}: found no image files, expected some ({', '.join(sorted(IMAGE_SUFFIXES))})")
    for sentence in left_out if warn else ():
        warnings.warn(sentence, AeedgeWarning, stacklevel=2)
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
        rows, columns = read_pixels(path, channels)[0].shape[:2]
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
        report = ReadingReport()
        sizes = {path: size for path in paths if (size := _size(path, report)) is not None}
        small = [path for path, size in sizes.items() if size[0] < smallest[0] or size[1] < smallest[1]]
        _warn_of_small(small, smallest)
        self.paths = [path for path in sizes if path not in set(small)]
        pixels = sum(sizes[path][0] * sizes[path][1] for path in self.paths)
        self._loaded: list[NDArray[np.uint8]] | None = None
        self._seen: set[str] = set()
        if pixels * channels <= MEMORY_LIMIT:
            self._load(report)
        report.warn()
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
            path = self.paths[place % len(self.paths)]
            try:
                pixels, notes = read_pixels(path, self.channels)
            except InputError as error:
                warnings.warn(f"skipped: {error}", AeedgeWarning, stacklevel=2)
                continue
            for note in notes:
                if note not in self._seen:
                    self._seen.add(note)
                    warnings.warn(f"{path}: {note} (shown once)", AeedgeWarning, stacklevel=2)
            return pixels
        raise InputError(f"{self.root}: no image can be read any more")

    def label(self, index: int) -> int | None:
        """Return the number of the class folder of image `index`, or None."""
        parts = self.paths[index].relative_to(self.root).parts
        return self._classes[parts[0]] if len(parts) > 1 else None

    def _load(self, report: ReadingReport) -> None:
        def attempt(path: Path) -> tuple[NDArray[np.uint8], tuple[str, ...]] | InputError:
            try:
                return read_pixels(path, self.channels)
            except InputError as error:
                return error

        with ThreadPoolExecutor(4) as pool:  # decoding releases the interpreter lock
            found = list(pool.map(attempt, self.paths))
        paths, self.paths, self._loaded = self.paths, [], []
        for path, result in zip(paths, found, strict=True):
            if isinstance(result, InputError):
                report.fail(printable(path), result)
                continue
            self.paths.append(path)
            self._loaded.append(result[0])
            report.notes.update(result[1])


def _size(path: Path, report: ReadingReport) -> tuple[int, int] | None:
    """Return rows and columns of an image as it will be read, or None if that cannot be found out."""
    try:
        return probe_size(path)
    except InputError as error:
        report.fail(printable(path), error)
        return None


def _warn_of_small(paths: Sequence[Path], smallest: tuple[int, int]) -> None:
    if paths:
        more = f" and {len(paths) - NAMED_FILES} more" if len(paths) > NAMED_FILES else ""
        names = ", ".join(printable(path) for path in paths[:NAMED_FILES])
        reason = f"smaller than the training crop of {smallest[0]}x{smallest[1]}"
        warnings.warn(f"{count(len(paths), 'image')} skipped, {reason}: {names}{more}", AeedgeWarning, stacklevel=3)
