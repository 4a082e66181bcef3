"""A stream's picture at 1/8 of its rows and columns, from the first group of latent channels alone."""

from __future__ import annotations

import numpy as np

from ..arrays import Floats, Pixels
from ..bundle.bundle import Bundle
from ..errors import BundleError
from ..profiling import stage
from ..stream.container import Stream
from .chunk_io import ChunkReader
from .networks import Networks
from .tiling import fill

SCALE = 8
"""Rows and columns of a picture for each row and column of its preview."""

PREVIEW = "decoder_preview"
"""Role of the graph from the first group's latents, float32 [N, c, h, w], to pixels, uint8 [N, rows, columns, C]."""


def has_preview(bundle: Bundle, stream: Stream) -> bool:
    """Return whether a preview of a stream takes less than the whole stream."""
    simple = stream.count == 1 and stream.has_symbols and not stream.has_alpha
    return simple and f"{PREVIEW}.onnx" in bundle.manifest.files


def decode_preview(bundle: Bundle, networks: Networks, stream: Stream, reader: ChunkReader, channels: int) -> Pixels:
    """Return the preview of a stream of one image, uint8 [ceil(H / 8), ceil(W / 8), channels], without stored tiles.

    Raises:
        StreamError: a chunk breaks a rule of the format. The symbol hash covers more than is decoded here.
        BundleError: the graph does not return what it should.
    """
    h, w = bundle.geometry.latent_size(stream.height, stream.width)
    groups = bundle.manifest.prior.groups or (bundle.manifest.latent_channels,)
    latents = np.empty((1, groups[0], h, w), np.float32)
    reader.read_first_group(latents)
    made = _run(bundle, networks, latents)
    pixels = np.empty((1, -(-stream.height // SCALE), -(-stream.width // SCALE), channels), np.uint8)
    fill(pixels, made)
    found: Pixels = pixels[0]
    return found


def reduced(pixels: Pixels) -> Pixels:
    """Return the mean of every 8x8 pixels of an image, uint8 [H, W, C]; at the lower and right edge, of fewer."""
    from PIL import Image

    channels = pixels.shape[2]
    image = Image.fromarray(np.ascontiguousarray(pixels if channels > 1 else pixels[..., 0]))
    small = np.asarray(image.reduce(SCALE))
    return small.reshape(*small.shape[:2], channels)


class PreviewCanvas:
    """A preview, uint8 [h, w, C], into which stored parts of its picture are pasted."""

    def __init__(self, pixels: Pixels) -> None:
        self.channels, self.rows = pixels.shape[2], range(len(pixels) * SCALE)
        self._pixels = pixels

    def paste(self, top: int, left: int, pixels: Pixels) -> None:
        """Replace the pixels of a part of the picture, which begins at a multiple of 8."""
        part = reduced(pixels)
        y, x = top // SCALE, left // SCALE
        self._pixels[y : y + part.shape[0], x : x + part.shape[1]] = part


def _run(bundle: Bundle, networks: Networks, latents: Floats) -> Pixels:
    rows, columns = bundle.geometry.stride
    with stage("decoder_graph"):
        pixels = networks.session(PREVIEW).run({"latent": latents})[0]
    expected = (
        len(latents),
        latents.shape[2] * rows // SCALE,
        latents.shape[3] * columns // SCALE,
        bundle.manifest.image.channels,
    )
    if pixels.shape != expected or pixels.dtype != np.uint8:
        raise BundleError(
            f"{PREVIEW}.onnx returned {pixels.dtype} {pixels.shape}, expected uint8 {expected}; export again"
        )
    return pixels
