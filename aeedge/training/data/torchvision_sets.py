"""MNIST, FashionMNIST, CIFAR10 and STL10 in torchvision's layout; downloaded only when their files are missing.

MNIST and FashionMNIST are read without torchvision where their files are there, so that scores and features of them
need no PyTorch.
"""

import contextlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeedge.training.data.idx import find_idx, read_idx
from aeedge_runtime.errors import AeedgeError, AeedgeWarning

IDX_SETS = ("MNIST", "FashionMNIST")


def read_torchvision(name: str, root: Path, *, test: bool) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read one of torchvision's data sets into memory.

    Args:
        name: torchvision's class name.
        root: folder of its files; missing ones are downloaded to it with a warning.
        test: the test images instead of the training images.

    Returns:
        uint8 [N, H, W, C] and classes int64 [N].

    Raises:
        AeedgeError: the files are neither there nor downloadable.
        InputError: a file of MNIST or FashionMNIST is damaged.
    """
    files = find_idx(root / name / "raw", test=test) if name in IDX_SETS else None
    if files:
        return read_idx(files[0])[..., None], read_idx(files[1]).astype(np.int64)
    from torchvision import datasets

    kind = getattr(datasets, name)
    options: dict[str, Any] = {"split": "test" if test else "train"} if name == "STL10" else {"train": not test}
    try:
        loaded = kind(str(root), download=False, **options)
    except RuntimeError:
        warnings.warn(f"{name} is not in {root.resolve()}: downloading it there", AeedgeWarning, stacklevel=6)
        loaded = _download(kind, name, root, options)
    pixels = np.asarray(loaded.data)
    labels = np.asarray(loaded.labels if name == "STL10" else loaded.targets, dtype=np.int64)
    if name == "STL10":
        pixels = pixels.transpose(0, 2, 3, 1)
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    return np.ascontiguousarray(pixels), labels


def _download(kind: Any, name: str, root: Path, options: dict[str, Any]) -> Any:
    absent = [folder for folder in _folders(name, root) if not folder.exists()]
    try:
        return kind(str(root), download=True, **options)
    except (OSError, RuntimeError) as error:
        for folder in absent:
            with contextlib.suppress(OSError):  # it is not empty, or was never made
                folder.rmdir()
        reason = " ".join(str(error).split())[:300]
        message = f"{name} could not be downloaded to {root} ({reason}); put its files there or use --data synthetic"
        raise AeedgeError(message) from error


def _folders(name: str, root: Path) -> list[Path]:
    """Return the folders that a download may make, the deepest first."""
    return [root / name / "raw", root / name, root, *root.parents]
