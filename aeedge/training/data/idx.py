"""The IDX files of MNIST and FashionMNIST, plain or compressed, read without PyTorch.

Format: two zero bytes, a type (8 is uint8), the number of dimensions, each of them as a big-endian uint32, the values.
"""

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aeedge_runtime.errors import InputError

UINT8 = 8

STEMS = {
    False: ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    True: ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
"""Whether it is the test set -> names of images and labels."""


def find_idx(folder: Path, *, test: bool) -> tuple[Path, Path] | None:
    """Return the files of images and labels in a folder, or None where one is missing."""
    found = [_find(folder / stem) for stem in STEMS[test]]
    return (found[0], found[1]) if found[0] and found[1] else None


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the values of an IDX file, uint8 of any shape.

    Raises:
        InputError: the file is damaged, or not of this kind.
    """
    try:
        data = path.read_bytes()
        content = gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error}); get the file again") from error
    dimensions = content[3] if len(content) > 3 else 0
    start = 4 + 4 * dimensions
    if content[:3] != bytes((0, 0, UINT8)) or len(content) < start:
        raise InputError(f"{path}: not an IDX file of bytes; get the file again")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", dimensions, 4))
    expected = start + int(np.prod(shape, dtype=np.int64))
    if len(content) != expected:
        raise InputError(f"{path}: found {len(content)} bytes, expected {expected} for {shape}; get the file again")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _find(path: Path) -> Path | None:
    for place in (path, path.with_name(f"{path.name}.gz")):
        if place.is_file():
            return place
    return None
