"""Prepares the folder that the processes of a benchmark share: inputs, and results to check theirs against."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeedge.benchmark.case import Case
from aeedge.benchmark.pictures import as_file, draw_picture, fit
from aeedge_runtime import Codec, load_picture

Pixels = NDArray[np.uint8]

MOST_ITEMS = 8
"""Calls with different images; more of them are not needed for a median, and are left out."""


class Item:
    """Input and expected results of one call.

    Args:
        folder: holds its files, which are read on demand.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self) -> list[bytes]:
        """Return the image files, or none where the input is an array."""
        return [path.read_bytes() for path in sorted(self.folder.glob("*.image"))]

    def pixels(self) -> Pixels | None:
        """Return the images as they are after reading, uint8 [N, H, W, C]; None for a bundle without an encoder."""
        return self._load("pixels")

    def stream(self) -> bytes:
        """Return the stream that the CPU made."""
        return (self.folder / "stream.aee").read_bytes()

    def decoded(self) -> Pixels | None:
        """Return what the CPU decoded, uint8 [N, H, W, C]; None for a bundle without a decoder."""
        return self._load("decoded")

    def latents(self) -> NDArray[np.float32] | None:
        """Return the latents that the CPU computed, float32 [N, c, h, w]."""
        return self._load("latents")

    def restored(self) -> Pixels | None:
        """Return what the CPU decodes from those latents, uint8 [N, H, W, C]; None without a decoder."""
        return self._load("restored")

    def _load(self, name: str) -> NDArray[Any] | None:
        path = self.folder / f"{name}.npy"
        return np.load(path, allow_pickle=False) if path.exists() else None


@dataclass(frozen=True)
class Material:
    """Items in folders below one folder."""

    folder: Path

    def items(self) -> list[Item]:
        """Return every item, in order."""
        return [Item(path) for path in sorted(self.folder.iterdir())]


def make_material(
    codec: Codec, case: Case, pictures: Sequence[Pixels], folder: Path, *, latents: bool = True
) -> Material:
    """Write the material of a case, and of all others of its size, batch, quality and input.

    Args:
        codec: the bundle on the CPU; with an encoder.
        case: says what is wanted.
        pictures: uint8 [H, W, C] each, of any size.
        folder: a new folder.
        latents: also for cases that encode and decode.
    """
    count = max(1, min(len(pictures) // case.batch, MOST_ITEMS))
    fitted = [fit(picture, case.width, case.height) for picture in pictures[: count * case.batch]]
    for number in range(count):
        first = number * case.batch
        chosen = [fitted[(first + index) % len(fitted)] for index in range(case.batch)]
        _write_item(codec, case, chosen, folder / f"{number:03}", latents=latents)
    return Material(folder)


def _write_item(codec: Codec, case: Case, pictures: Sequence[Pixels], folder: Path, *, latents: bool) -> None:
    folder.mkdir(parents=True)
    channels = codec.bundle.manifest.image.channels
    if case.input != "array":
        files = [as_file(picture, case.input) for picture in pictures]
        for number, data in enumerate(files):
            (folder / f"{number:06}.image").write_bytes(data)
        pictures = [load_picture(data, channels).pixels for data in files]
    pixels = np.stack(pictures)
    stream = codec.compress_batch(pixels, case.quality)
    (folder / "stream.aee").write_bytes(stream)
    np.save(folder / "pixels.npy", pixels)
    decoder = "decoder" in codec.bundle.manifest.halves
    if decoder:
        np.save(folder / "decoded.npy", codec.decompress_batch(stream))
    if latents:
        values = codec.encode_batch(pixels)
        np.save(folder / "latents.npy", values)
        if decoder:
            np.save(folder / "restored.npy", codec.decode_batch(values, pixels.shape[1:3]))


def usual_pictures(codec: Codec) -> tuple[list[Pixels], str]:
    """Return images for a user who named none, and where they come from.

    A bundle of patches was trained on one kind of small image, so its golden images are taken; else one is drawn.
    """
    facts = codec.bundle.manifest.image
    names = [name for name in codec.bundle.manifest.files if _is_golden_image(name)] if facts.patched else []
    images = [load_picture(codec.bundle.read(name), facts.channels).pixels for name in names]
    large = [image for image in images if image.shape[0] >= facts.stride[0] and image.shape[1] >= facts.stride[1]]
    return (large, "golden") if large else ([draw_picture(facts.channels)], "drawn")


def _is_golden_image(name: str) -> bool:
    return name.endswith(".png") and not name.endswith(".decoded.png")


def golden_material(codec: Codec, case: Case, folder: Path) -> tuple[Material, Case]:
    """Write the material of a bundle without an encoder: its largest golden stream.

    Returns:
        The material; the case with that stream's images, size and quality.
    """
    from aeedge_runtime import stream_info

    names = [name for name in codec.bundle.manifest.files if name.endswith(".aee")]
    streams = {name: codec.bundle.read(name) for name in names}
    best = max(streams.values(), key=lambda data: stream_info(data).width * stream_info(data).height)
    (folder / "000").mkdir(parents=True)
    (folder / "000" / "stream.aee").write_bytes(best)
    np.save(folder / "000" / "decoded.npy", codec.decompress_batch(best))
    info = stream_info(best)
    size = replace(case, batch=info.count, width=info.width, height=info.height)
    return Material(folder), replace(size, quality=info.quality, input="array")
