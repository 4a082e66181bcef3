"""What a bundle costs and gives at some qualities, on held-out images, for the end of an export."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeedge_runtime.codec import Codec
from aeedge_runtime.images.psnr import psnr_db

QUALITIES = (10, 30, 50, 70, 90)

IMAGES, SMALL_IMAGES = 6, 64
"""Images that are coded, each as a stream; or small ones of one size, all in one stream."""

SMALL_PIXELS = 64 * 64


def rate_table(codec: Codec, images: Sequence[NDArray[np.uint8]]) -> list[dict[str, Any]]:
    """Return a row for each quality: `quality`, `bits_per_pixel`, `ratio` to 8-bit pixels, and `psnr_db` of all pixels.

    Args:
        codec: the bundle, both halves.
        images: held out, uint8 `[H, W, C]`.
    """
    small = len({image.shape for image in images}) == 1 and images[0][..., 0].size <= SMALL_PIXELS
    batches = [np.stack(images[:SMALL_IMAGES])] if small else [image[None] for image in images[:IMAGES]]
    samples = sum(batch.size for batch in batches)
    pixels = samples / batches[0].shape[3]
    rows = []
    for quality in QUALITIES:
        octets, error = 0, 0.0
        for batch in batches:
            stream = codec.compress_batch(batch, quality, stored_tiles=False)
            octets += len(stream)
            error += batch.size * 10 ** (-psnr_db(batch, codec.decompress_batch(stream)) / 10)
        psnr = float(-10 * np.log10(max(error / samples, 1e-10)))
        rows.append(
            {
                "quality": quality,
                "bits_per_pixel": round(8 * octets / pixels, 4),
                "ratio": round(samples / octets, 2),
                "psnr_db": round(psnr, 2),
            }
        )
    return rows
