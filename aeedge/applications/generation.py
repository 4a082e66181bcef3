"""New images from a variational model: samples of its prior, of an image's posterior, and interpolations between two.

"Auto-Encoding Variational Bayes" (arXiv 1312.6114): latents of images are near a unit normal distribution, so a decoded
draw from it looks like one of the images that the model was trained on.
"""

import numpy as np
from numpy.typing import NDArray

from aeedge_runtime import ArgumentError, Codec, load_picture
from aeedge_runtime.images.load import Source
from aeedge_runtime.notices import report_notes

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


def require_variational(codec: Codec) -> None:
    """Check that a model can generate images.

    Raises:
        ArgumentError: saying why.
    """
    family = codec.bundle.manifest.family
    if family != "vae":
        raise ArgumentError(
            f"{codec.bundle} is of family {family}, whose latents follow no known distribution to draw from; "
            "use a vae, such as the preset vae-mnist"
        )


def sample(codec: Codec, count: int, seed: int) -> Pixels:
    """Return decoded draws from the prior, uint8 [count, H, W, C], each as large as a patch.

    Args:
        codec: of a vae.
        count: images.
        seed: of the draws; the first images are the same whatever the count.

    Raises:
        ArgumentError: not a vae.
        MissingHalfError: the bundle has no decoder.
    """
    require_variational(codec)
    shape = (count, codec.bundle.manifest.latent_channels, 1, 1)
    latents = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    return codec.decode_batch(latents, codec.bundle.manifest.image.stride)


def posterior(codec: Codec, image: Source) -> tuple[Floats, Floats, tuple[int, int]]:
    """Return mean and log variance of an image's latent, float32 [c, h, w] each, and the image's rows and columns.

    Raises:
        ArgumentError: not a vae.
        ImageError: not an image.
        MissingHalfError: the bundle has no encoder.
    """
    require_variational(codec)
    picture = report_notes(
        load_picture(image, codec.bundle.manifest.image.channels, max_pixels=codec.bundle.pixel_limit())
    )
    return *codec.encode_distribution(picture), (picture.pixels.shape[0], picture.pixels.shape[1])


def sample_posterior(codec: Codec, image: Source, count: int, seed: int) -> Pixels:
    """Return images that the model holds for the same as one image, uint8 [count, H, W, C]: draws of its posterior.

    Raises:
        The errors of `posterior`; MissingHalfError also where the bundle has no decoder.
    """
    mean, log_variance, size = posterior(codec, image)
    noise = np.random.default_rng(seed).standard_normal((count, *mean.shape), dtype=np.float32)
    spread: Floats = np.exp(log_variance / 2)
    return codec.decode_batch(mean + spread * noise, size)


def interpolate(codec: Codec, first: Source, last: Source, count: int) -> Pixels:
    """Return images on the straight way between the latents of two images, uint8 [count, H, W, C], ends included.

    Args:
        codec: of a vae.
        first: an image.
        last: another, of the same size.
        count: images, at least 2.

    Raises:
        The errors of `posterior`; ArgumentError also for images of two sizes, or a count below 2.
    """
    start, _, size = posterior(codec, first)
    end, _, other = posterior(codec, last)
    if size != other:
        raise ArgumentError(f"found images of {size[1]}x{size[0]} and {other[1]}x{other[0]}, expected one size")
    if count < 2:
        raise ArgumentError(f"found {count} image, expected at least 2: both ends")
    share = np.linspace(0, 1, count, dtype=np.float32)[:, None, None, None]
    return codec.decode_batch((1 - share) * start + share * end, size)
