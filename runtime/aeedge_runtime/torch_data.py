"""Data loading for PyTorch: a map-style dataset of streams, and a decoder for WebDataset."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from .arrays import Pixels
from .codec_cache import CodecCache
from .coding.stream_reader import StreamReader
from .errors import ArgumentError
from .stream.container import read_header
from .stream.front import read_front
from .stream.info import stream_bytes

SUFFIX = ".aee"

Transform = Callable[[Any], Any]


class StreamDataset(Dataset[Any]):
    """Images of `.aee` streams by index, as uint8 tensors [C, H, W]; the images of a packed stream count one by one.

    Each worker of a data loader opens its own codecs, with one thread each; a bundle is found by stream id. Of a file,
    only the header is read here. Of a packed stream, the chunk that holds an image is decoded, and kept until an image
    of another one is read; the file of the pack that was read last stays in memory.

    Args:
        root: folder, searched recursively, a stream, or several of either.
        transform: applied to each image.
        labels: return (image, class) pairs. The class is the first folder below `root`, for a packed stream that of the
            name of the image in it; classes are numbered in alphabetical order.
        device: as in `Codec.load`.
        threads: as in `Codec.load`.

    Attributes:
        classes: names of the classes, or empty.
        names: relative path of every image.

    Raises:
        StreamError: a header is damaged; further damage is found when an image is read.
        ArgumentError: no stream, or with `labels` an image outside of any class folder.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        transform: Transform | None = None,
        *,
        labels: bool = False,
        device: str = "cpu",
        threads: int | None = 1,
    ) -> None:
        roots = [root] if isinstance(root, str | os.PathLike) else list(root)
        self._transform = transform
        self._codecs = CodecCache(device, threads)
        self._opened: tuple[Path, StreamReader] | None = None
        self._images: list[tuple[Path, int]] = []
        self.names: list[str] = []
        for folder in map(Path, roots):
            for path in sorted(folder.rglob(f"*{SUFFIX}")) if folder.is_dir() else [folder]:
                self._add(path, path.relative_to(folder) if folder.is_dir() else Path(path.name))
        if not self.names:
            raise ArgumentError(
                f"{', '.join(str(folder) for folder in roots)}: no {SUFFIX} file found, expected at least one"
            )
        self.classes = sorted({_class(name) for name in self.names}) if labels else []
        self._labels = [self.classes.index(_class(name)) for name in self.names] if labels else None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)

    def __getitem__(self, index: int) -> Any:
        """Return image `index`, or with labels the image and its class."""
        path, number = self._images[index]
        pixels = self._reader(path).decompress(number)
        image: Any = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
        image = self._transform(image) if self._transform else image
        return image if self._labels is None else (image, self._labels[index])

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open stream out: a spawned worker opens its own."""
        return {**self.__dict__, "_opened": None}

    def _add(self, path: Path, relative: Path) -> None:
        header, names = read_front(path)
        count, names = header.count, names if header.count > 1 else None
        self._images += [(path, number) for number in range(count)]
        self.names += names or ([relative.as_posix()] if count == 1 else [f"{relative}/{n}" for n in range(count)])

    def _reader(self, path: Path) -> StreamReader:
        if self._opened is None or self._opened[0] != path:
            data = stream_bytes(path)
            self._opened = path, self._codecs.for_stream(stream_id_of(data)).open(data)
        return self._opened[1]


def decode(data: bytes, codecs: CodecCache) -> Pixels:
    """Return the images of a stream, uint8 [N, H, W, C], with the codec of its stream id."""
    return codecs.for_stream(stream_id_of(data)).decompress_batch(data)


def stream_id_of(data: bytes) -> str:
    """Return the stream id, 16 hex digits, that a stream's header states."""
    return read_header(data, whole=False).stream_id.hex()


def webdataset_decoder(*, device: str = "cpu", threads: int | None = 1) -> Callable[[str, bytes], Any]:
    """Return a decoder for `WebDataset(...).decode(...)` that turns `.aee` members into uint8 tensors [C, H, W].

    Args:
        device: as in `Codec.load`.
        threads: as in `Codec.load`.
    """
    return _Decoder(CodecCache(device, threads))


class _Decoder:
    def __init__(self, codecs: CodecCache) -> None:
        self._codecs = codecs

    def __call__(self, key: str, data: bytes) -> Any:
        if not key.lower().endswith(SUFFIX):
            return None  # left to the next decoder
        images = [torch.from_numpy(image.transpose(2, 0, 1).copy()) for image in decode(data, self._codecs)]
        return images[0] if len(images) == 1 else torch.stack(images)


def _class(name: str) -> str:
    first, slash, _ = name.partition("/")
    if not slash:
        raise ArgumentError(f"{name}: not in a folder, expected CLASS/NAME; leave labels out, or sort into folders")
    return first
