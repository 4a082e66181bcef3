"""Decoders of a bundle beside the full one: a lite one from a run of its own, and a preview that is fitted here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from aeedge.models import Autoencoder
from aeedge_export.checks.parity import PIXEL_LIMIT, Check
from aeedge_export.checks.receptive_field import network_reach
from aeedge_export.draft import Draft
from aeedge_export.frozen import double_copy, frozen_copy
from aeedge_export.graphs.build import decoder_spec, export_graph, preview_spec
from aeedge_export.latents import torch_pixels
from aeedge_export.preview import PreviewDecoder, fit_preview
from aeedge_export.weights import PRIOR, encoder_hash, weight_hash
from aeedge_runtime.bundle.bundle import DECODERS, Bundle
from aeedge_runtime.codec import Codec
from aeedge_runtime.coding.preview import PREVIEW, reduced
from aeedge_runtime.errors import ArgumentError
from aeedge_runtime.images.psnr import psnr_db

LITE = DECODERS["lite"]
"""Role of the lite decoder's graph."""

QUALITY = 50
"""Quality at which the decoders are compared with the full one."""

IMAGES = 6
"""Images that are compared."""


@dataclass(frozen=True)
class MoreDecoders:
    """The decoders that join the full one.

    Attributes:
        lite: a model with the same encoder and prior and a smaller decoder, or None.
        preview: the preview decoder, or None where a latent position is not 8 pixels, or a multiple.
    """

    lite: Autoencoder | None
    preview: PreviewDecoder | None

    @classmethod
    def of(
        cls,
        model: Autoencoder,
        lite: Autoencoder | None,
        tables: Mapping[str, NDArray[Any]],
        images: Sequence[NDArray[np.uint8]],
    ) -> Self:
        """Fit the preview decoder to real images, uint8 `[H, W, C]`, and freeze the lite one."""
        return cls(lite and frozen_copy(lite), fit_preview(frozen_copy(model), tables, images))

    def add_to(self, draft: Draft, images: Sequence[NDArray[np.uint8]]) -> None:
        """Put the graphs into a bundle, whose tiles then overlap by the reach of the lite decoder too.

        Raises:
            ExportError: the lite decoder cannot be exported.
        """
        if self.preview is not None:
            channels = self.preview.head.in_channels
            draft.graphs[PREVIEW] = export_graph(preview_spec(self.preview, channels))
        if self.lite is not None:
            draft.graphs[LITE] = export_graph(decoder_spec(self.lite))
            reach = network_reach(double_copy(self.lite), draft.arrays["steps"], images)
            draft.overlap = max(draft.overlap, reach)

    def check(self, bundle: Bundle, images: Sequence[NDArray[np.uint8]]) -> tuple[tuple[Check, ...], dict[str, Any]]:
        """Return the limits of these decoders, and what they show on held-out images, uint8 `[H, W, C]`.

        The fact `decoders_psnr_db` has the PSNR of each decoder by its name; that of the preview is against the mean of
        every 8x8 pixels.
        """
        full = Codec.load(bundle)
        streams = [full.compress(image, QUALITY, stored_tiles=False) for image in images[:IMAGES]]
        checks: list[Check] = []
        psnr: dict[str, float] = {}
        if self.preview is not None:
            pairs = zip(images, (full.preview(stream) for stream in streams), strict=False)
            psnr["preview"] = _mean([psnr_db(reduced(image), found) for image, found in pairs])
        if self.lite is not None:
            lite = Codec.load(bundle, decoder="lite")
            difference = _largest_difference(lite, self.lite, images[:IMAGES])
            checks.append(Check("pixel difference of the lite decoder", difference, PIXEL_LIMIT, "of 255"))
            for name, codec in (("full", full), ("lite", lite)):
                decoded = (codec.decompress(stream) for stream in streams)
                psnr[name] = _mean([psnr_db(a, b) for a, b in zip(images, decoded, strict=False)])
        return tuple(checks), {"decoders_psnr_db": psnr} if psnr else {}


def _largest_difference(codec: Codec, model: Autoencoder, images: Sequence[NDArray[np.uint8]]) -> int:
    """Return the largest difference of a decoder's pixels from PyTorch's, of the same latents."""
    largest = 0
    for image in images:
        size = image.shape[0], image.shape[1]
        latents = codec.encode_batch(image[None])
        difference = codec.decode_batch(latents, size).astype(np.int16) - torch_pixels(model, latents, size)
        largest = max(largest, int(np.abs(difference).max()))
    return largest


def check_lite(model: Autoencoder, lite: Autoencoder) -> None:
    """Check that a lite decoder is of the streams that a model writes.

    Raises:
        ArgumentError: it is of another encoder or prior.
    """
    if _identity(lite) != _identity(model):
        raise ArgumentError(
            "the run of the lite decoder has another encoder or prior; train it with aeedge train --train-decoder RUN, "
            "where RUN is the run that is exported"
        )


def _identity(model: Autoencoder) -> tuple[str, str]:
    return encoder_hash(model), weight_hash(model, PRIOR)


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 2)
