"""Memory of the last few steps of decoding, for streams of which one image is read after another."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy as np

from ..arrays import Floats
from ..profiling import advance
from ..stream.layout import Block
from .chunk_io import ChunkReader

Result = TypeVar("Result")


class Recent:
    """Results by key, the last ones that were used; threads may share it.

    Args:
        most: results that are kept; with 0, every one is made again.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._changing = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Result]) -> Result:
        """Return the result of a key, made here unless it is kept; it must not be changed."""
        with self._changing:
            if key in self._kept:
                self._kept.move_to_end(key)
                kept: Result = self._kept[key]
                return kept
        made = make()
        with self._changing:
            self._kept[key] = made
            while len(self._kept) > self.most:
                self._kept.popitem(last=False)
        return made


class RecentChunks(ChunkReader):
    """Decodes a block of chunks unless its latents are kept.

    Args:
        recent: keeps them.
        arguments: of `ChunkReader`.
    """

    def __init__(self, recent: Recent, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._recent = recent

    def read_block(self, block: Block, latents: Floats) -> None:
        """Fill in the latents of the next block; errors as in `ChunkReader`."""
        known = True

        def make() -> Floats:
            nonlocal known
            known = False
            made = np.empty_like(latents)
            super(RecentChunks, self).read_block(block, made)
            return made

        latents[...] = self._recent.get(("chunks", block.spans), make)
        if known:
            advance(len(block.spans))
