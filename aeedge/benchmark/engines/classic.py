"""Times JPEG, WebP and AVIF on the same images, at the lowest quality that reaches the bundle's PSNR."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from aeedge.benchmark.case import Case
from aeedge.benchmark.engines.base import WrongResultError, psnr_or_none
from aeedge.benchmark.inputs import Item
from aeedge_runtime import load_picture
from aeedge_runtime.profiling import stage

KEYS = {"jpeg": "jpeg", "webp": "webp4", "avif": "avif6"}
"""Engines, and keys of `aeedge.classic`: what a careful user would choose, smaller files for a little more time."""


class ClassicEngine:
    """A codec of Pillow; see Engine.

    Args:
        case: what is timed.
        target_psnr_db: PSNR to reach.
    """

    def __init__(self, case: Case, target_psnr_db: float) -> None:
        self.case = case
        self.target_psnr_db = target_psnr_db
        self.codec_quality = 0
        self._items: list[Item] = []
        self._inputs: list[Any] = []

    def load(self) -> None:
        """Load Pillow's codec.

        Raises:
            ArgumentError: this Pillow was built without it.
        """
        from aeedge.classic import find_classic

        self._codec = find_classic(KEYS[self.case.engine])

    def prepare(self, items: list[Item]) -> None:
        """Search the quality on the first item; make the files to decode."""
        from aeedge.classic import lowest_quality

        self._items = items
        stacks: list[Any] = [item.pixels() for item in items]
        self._channels = stacks[0].shape[3]
        self.codec_quality = lowest_quality(self._codec, stacks[0], self.target_psnr_db, self.case.threads)
        if self.case.operation == "decompress":
            self._inputs = [[self._encode(image) for image in stack] for stack in stacks]
        else:
            self._inputs = [item.files() or list(stack) for item, stack in zip(items, stacks, strict=True)]

    def run(self, number: int) -> Any:
        """Return the files, joined, or the images; see Engine."""
        value = self._inputs[number]
        if self.case.operation == "decompress":
            with stage("decode"):
                return np.stack([self._codec.decode(data, self._channels) for data in value])
        with stage("load_image"):
            images = [load_picture(image, self._channels).pixels for image in value]
        with stage("encode"):
            return b"".join([self._encode(image) for image in images])

    def verify(self, number: int, result: Any) -> Mapping[str, Any]:
        """Check that the images come back at about the PSNR aimed at; see Engine."""
        pixels: Any = self._items[number].pixels()
        facts = {"codec_quality": self.codec_quality}
        if self.case.operation == "compress":
            files = [self._encode(image) for image in pixels]
            if b"".join(files) != result:
                raise WrongResultError(f"{self.case.engine} produced different bytes for the same image")
            return {"bytes": len(result), **facts}
        found = psnr_or_none(result, pixels)
        if found is not None and self.codec_quality < 100 and found < self.target_psnr_db - 3:
            raise WrongResultError(f"{self.case.engine} decoded to {found:.1f} dB, expected {self.target_psnr_db:.1f}")
        return {"bytes": sum(map(len, self._inputs[number])), "psnr_db": found, **facts}

    def providers(self) -> Mapping[str, str]:
        """Return the library."""
        return {"codec": f"Pillow {self.case.engine}"}

    def _encode(self, image: Any) -> bytes:
        return self._codec.encode(image, self.codec_quality, self.case.threads)
