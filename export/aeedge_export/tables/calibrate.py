"""Steps and tables of a model, from real images of its run."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import onnx_ir
import torch
from numpy.typing import NDArray
from torch import Tensor

from aeedge.models import Autoencoder, HyperpriorAutoencoder, VaeAutoencoder
from aeedge.models.exact_prior import ExactPrior
from aeedge_export.errors import ExportError
from aeedge_export.graphs.canonical import graph_bytes
from aeedge_export.latents import crops, encoder_outputs, flatten, stacks, to_float
from aeedge_export.prior.exact_prior import prior_facts
from aeedge_export.prior.fitted import FittedAutoencoder
from aeedge_export.tables.factorized import Arrays, choose_shrink, factorized_tables
from aeedge_export.tables.hyperprior import hyperprior_tables
from aeedge_export.tables.sensitivity import decoder_sensitivity
from aeedge_export.tables.steps import ladder, statistics
from aeedge_runtime.bundle.tables import QUALITIES
from aeedge_runtime.errors import AeedgeWarning
from aeedge_runtime.inference.session import Session, SessionOptions, open_session

PATCHED_PIXELS, CONVOLUTIONAL_PIXELS, SAMPLE_SIDE = 1 << 20, 1 << 18, 256
"""Numbers of pixels on which the effect of latent changes is measured, and the largest side of their crops."""

LARGE_PARAMETERS, LARGE_PIXELS = 1 << 26, 1 << 17
"""Networks with at least this many parameters are measured on fewer: conv-stl10 takes 0.8 billion products a patch."""

HYPERPRIOR_PIXELS, HYPERPRIOR_SIDE = 3 << 20, 512
"""Symbols of a hyperprior are counted on this many pixels, at eleven qualities each."""

FINITE_PIXELS = 1 << 18
"""Pixels of real images that must give finite numbers."""

CONSTANT, FEWEST_POSITIONS = 1e-6, 8
"""Range of a latent channel up to which it is constant, and the positions that have to agree on that."""

LARGEST = 2.0**40
"""Latents and pixels beyond it are of a model that has diverged."""

SHOWN_QUALITIES = (1, 25, 50, 75, 100)


@dataclass(frozen=True)
class Calibration:
    """Results of calibration.

    Attributes:
        arrays: content of `entropy.npz`.
        facts: for people: tables, dead channels, how steps were shaped, bits per latent position.
    """

    arrays: Arrays
    facts: Mapping[str, Any]


def calibrate(
    model: Autoencoder, graphs: Mapping[str, onnx_ir.Model], images: Sequence[NDArray[np.uint8]]
) -> Calibration:
    """Fit steps and tables.

    Args:
        model: in evaluation mode, on the CPU.
        graphs: role -> exported graph; latents come from these.
        images: real images of the run, uint8 `[H, W, C]` of any size.
    """
    encoder = graph_bytes(graphs["encoder"], {})
    if isinstance(model, HyperpriorAutoencoder):
        steps = model.steps_for_quality(QUALITIES).double().numpy()
        return _hyperprior(model, model.exact_prior, steps, "learned gains", graphs, encoder, images)
    if isinstance(model, FittedAutoencoder):
        steps = model.steps.astype(np.float64)
        return _hyperprior(model, model.exact_prior, steps, "those of the bundle before", graphs, encoder, images)
    outputs = encoder_outputs(encoder, model, images)
    latent = flatten([output[0] for output in outputs])
    found = statistics(latent)
    sample = DecoderSample.take(model, images)
    network_mse, sensitivity = sample.error(sample.latents), sample.sensitivity()
    shape, method = sensitivity**-0.5, "decoder sensitivity"
    if isinstance(model, VaeAutoencoder):
        shape, method = posterior_spread(flatten([output[1] for output in outputs])), "posterior spread"
    values = model.stride[0] * model.stride[1] * model.channels
    steps = ladder(shape, sensitivity, found, network_mse, values)
    tables = factorized_tables(latent, steps, found.offset)
    arrays = choose_shrink(tables.arrays, sample.latents, sample.error)
    _warn(tables.bits, tables.dead, latent.shape[1])
    facts = {
        "steps": method,
        "tables": len(tables.arrays["bank_sizes"]),
        "dead_channels": tables.dead,
        "network_psnr_db": round(float(-10 * np.log10(max(network_mse, 1e-10))), 2),
        "bits_per_position": {str(quality): round(float(tables.bits[quality - 1]), 2) for quality in SHOWN_QUALITIES},
    }
    return Calibration(arrays, facts)


def posterior_spread(log_variance: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the root mean square of the posterior's standard deviation, `[c]`, of log variances `[M, c]`."""
    spread: NDArray[np.float64] = np.sqrt(np.exp(log_variance.astype(np.float64)).mean(axis=0))
    return spread


@dataclass(frozen=True)
class DecoderSample:
    """Some real images and their latents, to see what the decoder makes of changes.

    Attributes:
        model: in evaluation mode.
        pixels: per group of images of one size float32 `[N, C, H, W]` in 0..1.
        latents: per group `[N, c, h, w]`.
    """

    model: Autoencoder
    pixels: list[Tensor]
    latents: list[NDArray[np.float32]]

    @classmethod
    @torch.no_grad()
    def take(cls, model: Autoencoder, images: Sequence[NDArray[np.uint8]]) -> Self:
        """Cut crops out of images and encode them."""
        most = PATCHED_PIXELS if model.patched else CONVOLUTIONAL_PIXELS
        if sum(tensor.numel() for tensor in model.state_dict().values()) >= LARGE_PARAMETERS:
            most = LARGE_PIXELS
        pixels = [to_float(stack) for stack in stacks(crops(images, model, most, SAMPLE_SIDE))]
        return cls(model, pixels, [model.encode(part).numpy() for part in pixels])

    @torch.no_grad()
    def error(self, latents: Sequence[NDArray[np.float32]]) -> float:
        """Return the mean squared error of what latents decode to, pixels in 0..1."""
        total = 0.0
        for pixels, latent in zip(self.pixels, latents, strict=True):
            decoded = self.model.decode(torch.from_numpy(latent)).clamp(0, 1)
            total += float((decoded - pixels).double().square().sum())
        return total / sum(pixels.numel() for pixels in self.pixels)

    def sensitivity(self) -> NDArray[np.float64]:
        """Return the decoder's sensitivity per channel, `[c]`."""
        weight = sum(latent.size for latent in self.latents)
        parts = [decoder_sensitivity(self.model, latent) * (latent.size / weight) for latent in self.latents]
        mean: NDArray[np.float64] = np.sum(parts, axis=0)
        return mean


def _hyperprior(
    model: Autoencoder,
    prior: ExactPrior,
    steps: NDArray[np.float64],
    method: str,
    graphs: Mapping[str, onnx_ir.Model],
    encoder: bytes,
    images: Sequence[NDArray[np.uint8]],
) -> Calibration:
    chosen = crops(images, model, HYPERPRIOR_PIXELS, HYPERPRIOR_SIDE)
    outputs = [output[0] for output in encoder_outputs(encoder, model, chosen)]
    latents = [part[place : place + 1] for part in outputs for place in range(len(part))]
    hyper_encoder = _session(graphs, "hyper_encoder")
    facts = prior_facts(prior)
    passes = [_session(graphs, role) for role in facts.graphs]
    arrays = hyperprior_tables(latents, steps, facts, passes, hyper_encoder)
    certain = int((arrays["scale_tables"] == 0).sum())
    return Calibration(arrays, {"steps": method, "tables": len(arrays["bank_sizes"]), "certain_indices": certain})


def _session(graphs: Mapping[str, onnx_ir.Model], role: str) -> Session:
    return open_session(graph_bytes(graphs[role], {}), SessionOptions(), role=f"{role}.onnx")


@torch.no_grad()
def check_outputs(model: Autoencoder, images: Sequence[NDArray[np.uint8]], *, allow_dead: bool = False) -> None:
    """Refuse a model whose latents or pixels of real images are no numbers, or whose latents are always the same.

    Raises:
        ExportError: they are not finite, absurd or, unless `allow_dead`, constant: every image would come back as noise
            or as one image.
    """
    lows, highs, positions = [], [], 0
    for stack in stacks(crops(images, model, FINITE_PIXELS, SAMPLE_SIDE)):
        latent = model.encode(to_float(stack))
        _require_usable("latents", latent.numpy())
        _require_usable("pixels", model.decode(latent).numpy())
        lows.append(latent.amin((0, 2, 3)))
        highs.append(latent.amax((0, 2, 3)))
        positions += latent[:, 0].numel()
    spread = torch.stack(highs).amax(0) - torch.stack(lows).amin(0)
    if positions >= FEWEST_POSITIONS and not allow_dead and bool((spread <= CONSTANT).all()):
        raise ExportError(
            "every latent channel is constant on the calibration images, so all images become the same: train again "
            "with a lower learning rate or another seed, or export it all the same with --force-dead"
        )


def _require_usable(what: str, values: NDArray[np.floating[Any]]) -> None:
    largest = float(np.abs(values).max())
    if not largest <= LARGEST:  # NaN too
        raise ExportError(
            f"the model gives {what} of {largest:.3g} on its calibration images, expected at most {LARGEST:.3g}: its "
            "training has diverged; train again with a lower learning rate, or export another checkpoint"
        )


def _warn(bits: NDArray[np.float64], dead: int, channels: int) -> None:
    if dead == channels:
        warnings.warn("every latent channel is constant: all images become the same", AeedgeWarning, stacklevel=3)
    elif (np.diff(bits) <= 0).any():
        worse = int(np.argmax(np.diff(bits) <= 0)) + 1
        message = f"quality {worse + 1} does not take more bytes than quality {worse}; was the model trained?"
        warnings.warn(message, AeedgeWarning, stacklevel=3)
