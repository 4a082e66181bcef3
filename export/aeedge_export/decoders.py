"""Decoders of a bundle beside the full one: a lite one from a run of its own, and a preview that is fitted here."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx_ir
from numpy.typing import NDArray

from aeedge.models import Autoencoder
from aeedge_export.checks.parity import PIXEL_LIMIT, Check
from aeedge_export.checks.receptive_field import network_reach
from aeedge_export.frozen import double_copy, frozen_copy
from aeedge_export.graphs.build import decoder_spec, export_graph, preview_spec
from aeedge_export.graphs.canonical import graph_bytes, manifest_bytes, zip_bytes
from aeedge_export.latents import torch_pixels
from aeedge_export.preview import PreviewDecoder, fit_preview
from aeedge_export.weights import PRIOR, encoder_hash, weight_hash, with_float16_weights
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
    def of(cls, codec: Codec, lite: Autoencoder | None, images: Sequence[NDArray[np.uint8]]) -> Self:
        """Fit the preview decoder of a bundle to real images, uint8 `[H, W, C]`, and freeze the lite one.

        Raises:
            ArgumentError: the lite decoder is of another encoder or prior.
        """
        if lite is not None:
            check_lite(codec.bundle.manifest.stream_id_parts, lite)
        return cls(lite and frozen_copy(lite), fit_preview(codec, images))

    def graphs(self) -> dict[str, onnx_ir.Model]:
        """Return role -> graph.

        Raises:
            ExportError: the lite decoder cannot be exported.
        """
        found = {}
        if self.preview is not None:
            found[PREVIEW] = export_graph(preview_spec(self.preview, self.preview.head.in_channels))
        if self.lite is not None:
            found[LITE] = export_graph(decoder_spec(self.lite))
        return found

    def reach(self, steps: NDArray[Any], images: Sequence[NDArray[np.uint8]]) -> int:
        """Return by how many latent rows or columns the tiles of these decoders must overlap."""
        return 0 if self.lite is None else network_reach(double_copy(self.lite), steps, images)

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


def load_lite(run: Path | str, *, store_float16: bool) -> Autoencoder:
    """Return the model of a run that trained a lite decoder, its weights rounded to float16 if they are to be.

    Raises:
        InputError: the run is damaged.
        ExportError: float16 does not hold a weight.
    """
    from aeedge.training.run.folder import load_run

    model = load_run(run).model
    return with_float16_weights(model) if store_float16 else model


def check_lite(parts: Mapping[str, str], lite: Autoencoder) -> None:
    """Check that a lite decoder is of the streams that a bundle writes.

    Args:
        parts: `stream_id_parts` of the bundle, or of the model that is exported.
        lite: the model whose decoder it is.

    Raises:
        ArgumentError: it is of another encoder or prior.
    """
    if (encoder_hash(lite), weight_hash(lite, PRIOR)) != (parts["encoder"], parts["prior"]):
        raise ArgumentError(
            "the run of the lite decoder has another encoder or prior; train it with aeedge train --train-decoder RUN, "
            "where RUN is the run that is exported"
        )


def add_decoders(
    bundle: Bundle, lite: Autoencoder | None, images: Sequence[NDArray[np.uint8]]
) -> tuple[dict[str, bytes], tuple[Check, ...], dict[str, Any]]:
    """Add a preview decoder and, if there is one, a lite decoder to a float32 bundle, whose stream id stays.

    Args:
        bundle: with both halves.
        lite: a model with the same encoder and prior and a smaller decoder.
        images: real images, uint8 `[H, W, C]`: every other one is fitted to, the rest measured on.

    Returns:
        All files by name, the limits of the decoders, and what they show; see `MoreDecoders.check`.

    Raises:
        ArgumentError: the lite decoder is of another encoder or prior.
        ExportError: it cannot be exported.
    """
    decoders = MoreDecoders.of(Codec.load(bundle), lite, images[::2])
    values = json.loads(bundle.manifest_bytes)
    files = {name: bundle.read(name) for name in bundle.manifest.files}
    for role, graph in decoders.graphs().items():
        image = values["image"]
        facts = {"role": role, "family": values["family"], "preset": values["preset"], "stream_id": values["stream_id"]}
        facts |= {"stride": "x".join(map(str, image["stride"])), "channels": str(image["channels"])}
        facts |= {"latent_channels": str(values["latent"]["channels"])}
        data = graph_bytes(graph, {f"aeedge.{key}": value for key, value in facts.items()})
        files[f"{role}.onnx"] = data
    reach = decoders.reach(np.asarray(bundle.tables.steps), images[::2])
    values["limits"]["overlap"] = max(values["limits"]["overlap"], reach)
    values["files"] = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()
    }
    files["manifest.json"] = manifest_bytes(values)
    return files, *decoders.check(Bundle.load(zip_bytes(files)), images[1::2])


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 2)
