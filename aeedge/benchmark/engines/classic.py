"""JPEG, WebP and AVIF through Pillow, on the same images, at the lowest quality that reaches the bundle's PSNR."""

import io
from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

import numpy as np

from aeedge.benchmark.case import Case
from aeedge.benchmark.engines.base import WrongResultError, psnr_or_none
from aeedge.benchmark.inputs import Item
from aeedge_runtime import load_picture
from aeedge_runtime.errors import ArgumentError
from aeedge_runtime.profiling import stage

SETTINGS: dict[str, dict[str, Any]] = {
    "jpeg": {"optimize": True},
    "webp": {"method": 4},
    "avif": {"speed": 6},
}
"""What a careful user would choose: smaller files for a little more time."""


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
        self._settings = dict(SETTINGS[case.engine])
        if case.engine == "avif":
            self._settings["max_threads"] = case.threads
        self._items: list[Item] = []
        self._inputs: list[Any] = []

    def load(self) -> None:
        """Load Pillow's codec.

        Raises:
            ArgumentError: this Pillow has none for it.
        """
        from PIL import features

        if self.case.engine != "jpeg" and not features.check(self.case.engine):
            raise ArgumentError(f"this Pillow was built without {self.case.engine}; leave it out of --against")

    def prepare(self, items: list[Item]) -> None:
        """Search the quality on the first item; make the files to decode."""
        self._items = items
        stacks: list[Any] = [item.pixels() for item in items]
        self._channels = stacks[0].shape[3]
        self.codec_quality = self._lowest_quality(stacks[0])
        if self.case.operation == "decompress":
            self._inputs = [[self._encode(image) for image in stack] for stack in stacks]
        else:
            self._inputs = [item.files() or list(stack) for item, stack in zip(items, stacks, strict=True)]

    def run(self, number: int) -> Any:
        """Return the files, joined, or the images; see Engine."""
        value = self._inputs[number]
        if self.case.operation == "decompress":
            with stage("decode"):
                return np.stack([self._decode(data) for data in value])
        with stage("load_picture"):
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
                raise WrongResultError(f"{self.case.engine} made other bytes of the same image")
            return {"bytes": len(result), **facts}
        found = psnr_or_none(result, pixels)
        if found is not None and self.codec_quality < 100 and found < self.target_psnr_db - 3:
            raise WrongResultError(f"{self.case.engine} decoded to {found:.1f} dB, expected {self.target_psnr_db:.1f}")
        return {"bytes": sum(map(len, self._inputs[number])), "psnr_db": found, **facts}

    def providers(self) -> Mapping[str, str]:
        """Return the library."""
        return {"codec": f"Pillow {self.case.engine}"}

    def _encode(self, image: Any, quality: int | None = None) -> bytes:
        from PIL import Image

        file = io.BytesIO()
        picture = Image.fromarray(image if image.shape[2] == 3 else image[:, :, 0])
        picture.save(file, self.case.engine.upper(), quality=quality or self.codec_quality, **self._settings)
        return file.getvalue()

    def _decode(self, data: bytes) -> Any:
        from PIL import Image

        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB" if self._channels == 3 else "L")).reshape(*image.size[::-1], -1)

    def _lowest_quality(self, pixels: Any) -> int:
        def reached(quality: int) -> bool:
            restored = np.stack([self._decode(self._encode(image, quality)) for image in pixels])
            found = psnr_or_none(restored, pixels)
            return found is None or found >= self.target_psnr_db

        return 1 + bisect_left(range(1, 100), True, key=reached)
