"""Adapt a network from elsewhere: find its halves, layout, stride and patches by running it."""

import warnings
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aeedge_export.errors import ExportError
from aeedge_export.frozen import detached_copy
from aeedge_export.latents import crops
from aeedge_export.networks.adapted import AdaptedAutoencoder
from aeedge_export.networks.checks import check_repeatable, reconstruction_psnr
from aeedge_export.networks.geometry import Geometry, Run, Size, find_geometry
from aeedge_export.networks.halves import Name, Network, find_halves
from aeedge_export.networks.inputs import Input, possible_inputs
from aeedge_export.networks.pixels import RANGES, PixelRange, Pixels, pixel_range
from aeedge_export.networks.refusals import DecoderError, one_line
from aeedge_export.networks.tensors import Choice
from aeedge_runtime.errors import AeedgeWarning, ArgumentError

Adapted = TypeVar("Adapted", bound=AdaptedAutoencoder)

PIXELS_ON_TRIAL, SIDE = 1 << 19, 256
"""Pixels on which pixel ranges are compared, in crops of at most this side."""

CLEARLY_BETTER_DB = 1.0
"""Gain from which another pixel range than the declared one is worth a warning; below it the ranking is chance, as
rectifier networks are nearly homogeneous."""

TRAINED_DB = 15.0
"""PSNR from which a network reconstructs anything: of one that is not trained no range is the right one."""


def adapt(
    network: Network,
    *,
    pixels: Pixels = "unit",
    encode: Name = None,
    decode: Name = None,
    latent: Choice = None,
    output: Choice = None,
    size: Size | None = None,
    tile: Size | None = None,
    whole: int | None = None,
) -> AdaptedAutoencoder:
    """Return a network as an autoencoder that can be exported; the network itself is not changed.

    Args:
        network: one module with both halves, or a tuple of encoder and decoder.
        pixels: the numbers that it expects for black and white: "unit" (0..1), "signed" (-1..1), "bytes" (0..255),
            "imagenet", or two numbers. They cannot be guessed.
        encode: name of the encoding half, or a function of module and image; None to find it.
        decode: the same for the decoding half.
        latent: which output of the encoder is the latent: a position, a key or attribute, or a function.
        output: the same for the image that the decoder returns.
        size: rows and columns of the only image that the network takes.
        tile: rows and columns of the tiles on which a network that looks at the whole image is to run alone.
        whole: pixels up to which such a network is to take an image whole.

    Raises:
        ArgumentError: options that cannot be combined, or an unknown pixel range.
        ExportError: the network cannot work as a codec; the message says what to change.
    """
    if sum(option is not None for option in (size, tile, whole)) > 1:
        raise ArgumentError("size, tile and whole cannot be combined; give one of them")
    halves = find_halves(_copied(network), encode, decode)
    scale = pixel_range(pixels)
    encoder, decoder = (half.eval().float().cpu() for half in (halves.encoder, halves.decoder))
    refused: ExportError | None = None
    for way in possible_inputs(encoder, scale):
        probe = AdaptedAutoencoder(way.encoder, decoder, Geometry(3, (1, 1), 1), way.pixels, latent, output)
        try:
            with torch.no_grad():
                geometry = find_geometry(raw_run(probe), _channels(way), patch=size or tile or way.patch)
        except ExportError as error:
            refused = refused or error
            continue
        return finished(AdaptedAutoencoder(way.encoder, decoder, geometry, way.pixels, latent, output).eval(), whole)
    raise refused or ExportError("the network takes no images")


def _copied(network: Network) -> Network:
    try:
        halves = network if isinstance(network, tuple) else (network,)
        return detached_copy(network, [module for half in halves for module in half.modules()])
    except Exception as error:  # open files, locks
        raise ExportError(
            f"the network cannot be copied ({one_line(error)}); build it again and load its weights"
        ) from error


def finished(model: Adapted, whole: int | None) -> Adapted:
    """Return the model after the last checks, with its pixel limit.

    Raises:
        ArgumentError: a limit below one latent position, or one of a network with a fixed size.
        ExportError: the network draws random numbers, or its decoder needs more than the latent.
    """
    if whole is not None and (model.patched or whole < model.stride[0] * model.stride[1]):
        raise ArgumentError(f"whole: {whole} does not apply to {model.config}")
    check_repeatable(model)
    model.whole = whole or 0
    with torch.no_grad():
        latent = model.encode(torch.zeros(1, model.channels, *model.stride))
        model.differentiable = _is_differentiable(model, latent)
    return model


def raw_run(model: AdaptedAutoencoder) -> Run:
    """Return a function that runs both halves in the network's own layout."""

    def run(image: Tensor, image_last: bool) -> tuple[Tensor, Tensor]:
        latent = model.run_encoder(image, image_last)
        try:
            return latent, model.run_decoder(latent)
        except ExportError:
            raise
        except Exception as error:  # a stranger's code
            raise DecoderError(latent) from error

    return run


def warn_of_pixels(model: AdaptedAutoencoder, images: Sequence[NDArray[np.uint8]]) -> float:
    """Warn if another pixel range than the declared one fits clearly better; return the PSNR of the declared one."""
    chosen = crops(images, model, PIXELS_ON_TRIAL, SIDE)
    declared = reconstruction_psnr(model, chosen)
    ranges: list[PixelRange] = [found for found in RANGES.values() if found.fits(model.channels)]
    others = {found.name: _psnr_in(model, found, chosen) for found in ranges if found.name != model.pixels.name}
    best = max(others, key=others.__getitem__, default="")
    if best and others[best] > max(declared + CLEARLY_BETTER_DB, TRAINED_DB):
        warnings.warn(
            f'the network reconstructs real images with {declared:.1f} dB in the declared pixel range "'
            f'{model.pixels.name}" and with {others[best]:.1f} dB in "{best}"; declare that with pixels if it is right',
            AeedgeWarning,
            stacklevel=2,
        )
    return declared


def _psnr_in(model: AdaptedAutoencoder, pixels: PixelRange, images: Sequence[NDArray[np.uint8]]) -> float:
    kept = model.pixels
    model.pixels = pixels
    try:
        return reconstruction_psnr(model, images)
    finally:
        model.pixels = kept


def _channels(way: Input) -> list[int]:
    """Return the numbers of image channels to try: that of the first convolution, if it has one."""
    first = next((part.in_channels for part in way.encoder.modules() if isinstance(part, nn.Conv2d)), way.channels)
    found = [first] if first in (1, 3) else [3, 1]
    fitting = [channels for channels in found if channels is not None and way.pixels.fits(channels)]
    if not fitting:
        raise ExportError(f'the pixel range "{way.pixels.name}" is for color images, the network takes gray ones')
    return fitting


def _is_differentiable(model: AdaptedAutoencoder, latent: Tensor) -> bool:
    with torch.enable_grad():
        image = model.decode(latent.detach().clone().requires_grad_(True))
    return image.requires_grad
