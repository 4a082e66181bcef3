"""Images to measure with: the user's own, or one drawn with the statistics of a photo."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aeedge_runtime import load_picture
from aeedge_runtime.remote import Location

Pixels = NDArray[np.uint8]

TILE = 1024
"""Side of the drawn image; larger ones repeat its mirror image, so that a pixel costs the same bits at every size."""

JPEG_QUALITY = 95


def draw_picture(channels: int, seed: int = 0) -> Pixels:
    """Return an image of TILE x TILE pixels, uint8 [H, W, C], with smooth parts, texture and edges.

    At quality 50 the photo bundle codes it at 0.5 bits per pixel and 35 dB, about what a usual photo takes.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None]
    frequency = np.maximum(np.hypot(rows, columns), 1 / TILE)
    smooth, edges, hue = (_noise(rng, frequency, power) for power in (1.42, 2.2, 1.42))
    luma = 128 + 45 * smooth + 25 * np.sign(edges)
    color = 14 * np.stack([hue, -smooth, -hue], axis=2) if channels == 3 else 0
    drawn: Pixels = np.rint(np.clip(luma[:, :, None] + color, 0, 255)).astype(np.uint8)
    return drawn


def _noise(rng: np.random.Generator, frequency: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """Return noise of variance 1 whose amplitude falls with a power of the frequency."""
    phases = rng.normal(size=(*frequency.shape, 2)) @ np.array([1, 1j])
    plane = np.fft.irfft2(phases / frequency**power, (TILE, TILE))
    scaled: NDArray[np.float64] = (plane - plane.mean()) / plane.std()
    return scaled


def load_pictures(paths: Sequence[Location], channels: int) -> list[Pixels]:
    """Return the images in files, uint8 [H, W, C].

    Raises:
        ImageError: a file is no image.
    """
    return [load_picture(path, channels).pixels for path in paths]


def fit(picture: Pixels, width: int, height: int) -> Pixels:
    """Return an image of another size: scaled down and cropped where larger, continued by its mirror where smaller."""
    from PIL import Image, ImageOps

    rows, columns, channels = picture.shape
    if rows >= height and columns >= width:
        image = Image.fromarray(picture if channels == 3 else picture[:, :, 0])
        return np.array(ImageOps.fit(image, (width, height))).reshape(height, width, channels)
    padding = ((0, max(height - rows, 0)), (0, max(width - columns, 0)), (0, 0))
    return np.ascontiguousarray(np.pad(picture, padding, mode="symmetric")[:height, :width])


def as_file(pixels: Pixels, kind: str) -> bytes:
    """Return an image as the bytes of a "jpeg" or "png" file."""
    from PIL import Image

    image = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])
    file = io.BytesIO()
    image.save(file, kind.upper(), **({"quality": JPEG_QUALITY} if kind == "jpeg" else {}))
    return file.getvalue()
