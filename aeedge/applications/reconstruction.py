"""Passes images through encoder and decoder without quantization, for networks trained to restore images."""

import numpy as np
from numpy.typing import NDArray

from aeedge_runtime import Codec, Picture, load_picture
from aeedge_runtime.images.load import Source
from aeedge_runtime.notices import report_notes

Pixels = NDArray[np.uint8]


def reconstruct(codec: Codec, images: Pixels) -> Pixels:
    """Return what the model makes of images of one size, uint8 [N, H, W, C] both.

    Raises:
        MissingHalfError: the bundle lacks encoder or decoder.
        ArgumentError: another dtype or shape.
    """
    codec.bundle.require("encoder", "reconstruct")
    codec.bundle.require("decoder", "reconstruct")
    return codec.decode_batch(codec.encode_batch(images), (images.shape[1], images.shape[2]))


def reconstruct_picture(codec: Codec, image: Source) -> tuple[Picture, Picture]:
    """Return an image as the model saw it, and what the model made of it; alpha, ICC profile and EXIF are kept.

    Raises:
        ImageError: not an image, or a damaged one.
        MissingHalfError: the bundle lacks encoder or decoder.
    """
    seen = report_notes(
        load_picture(image, codec.bundle.manifest.image.channels, max_pixels=codec.bundle.pixel_limit())
    )
    pixels = reconstruct(codec, seen.pixels[None])[0]
    return seen, Picture(pixels=pixels, alpha=seen.alpha, icc=seen.icc, exif=seen.exif, gray=seen.gray)
