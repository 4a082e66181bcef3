"""Steps and tables of a model, from real images of its run."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir
import torch
from numpy.typing import NDArray

from aeedge_export.calibrate import Arrays, factorized_tables
from aeedge_export.canonical import graph_bytes
from aeedge_export.graphs import HYPER_STRIDE
from aeedge_export.hyperprior import hyperprior_tables
from aeedge_export.latents import crops, encoder_outputs, flatten, stacks, to_float
from aeedge_export.model import ExportableModel, has_hyperprior, has_posterior, learned_steps
from aeedge_export.sensitivity import decoder_sensitivity
from aeedge_export.steps import QUALITIES, ladder, statistics
from aeedge_runtime.errors import AeedgeWarning
from aeedge_runtime.manifest import PriorFacts
from aeedge_runtime.session import SessionOptions, open_session

SENSITIVITY_PIXELS, SENSITIVITY_SIDE = 1 << 19, 256
"""The decoder's sensitivity is measured on so many pixels, in crops of at most this side."""

HYPERPRIOR_PIXELS, HYPERPRIOR_SIDE = 3 << 20, 512
"""Symbols of a hyperprior are counted on so many pixels, at eleven qualities each."""

SHOWN_QUALITIES = (1, 25, 50, 75, 100)


@dataclass(frozen=True)
class Calibration:
    """What calibration found.

    Attributes:
        arrays: content of `entropy.npz`.
        facts: for people: tables, dead channels, how steps were shaped, bits per latent position.
    """

    arrays: Arrays
    facts: Mapping[str, Any]


def calibrate(
    model: ExportableModel, graphs: Mapping[str, onnx_ir.Model], images: Sequence[NDArray[np.uint8]]
) -> Calibration:
    """Fit steps and tables.

    Args:
        model: in evaluation mode, on the CPU.
        graphs: role -> exported graph; latents come from these.
        images: real images of the run, uint8 `[H, W, C]` of any size.
    """
    encoder = graph_bytes(graphs["encoder"], {})
    if has_hyperprior(model):
        return _hyperprior(model, graphs, encoder, images)
    outputs = encoder_outputs(encoder, model, images)
    latent = flatten([output[0] for output in outputs])
    found = statistics(latent)
    network_mse, sensitivity = _decoder_facts(model, images)
    shape, method = sensitivity**-0.5, "decoder sensitivity"
    if has_posterior(model):
        shape, method = posterior_spread(flatten([output[1] for output in outputs])), "posterior spread"
    values = model.stride[0] * model.stride[1] * model.channels
    steps = ladder(shape, sensitivity, found, network_mse, values)
    tables = factorized_tables(latent, steps, found.offset)
    _warn(tables.bits, tables.dead, latent.shape[1])
    facts = {
        "steps": method,
        "tables": len(tables.arrays["bank_sizes"]),
        "dead_channels": tables.dead,
        "network_psnr_db": round(float(-10 * np.log10(max(network_mse, 1e-10))), 2),
        "bits_per_position": {str(quality): round(float(tables.bits[quality - 1]), 2) for quality in SHOWN_QUALITIES},
    }
    return Calibration(tables.arrays, facts)


def posterior_spread(log_variance: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the root mean square of the posterior's standard deviation, `[c]`, of log variances `[M, c]`."""
    return np.sqrt(np.exp(log_variance.astype(np.float64)).mean(axis=0))


def _decoder_facts(model: ExportableModel, images: Sequence[NDArray[np.uint8]]) -> tuple[float, NDArray[np.float64]]:
    """Squared error of the network itself (pixels in 0..1), and the decoder's sensitivity per channel."""
    squared, values, latents = 0.0, 0, []
    for stack in stacks(crops(images, model, SENSITIVITY_PIXELS, SENSITIVITY_SIDE)):
        pixels = to_float(stack)
        with torch.no_grad():
            latent = model.encode(pixels)
            squared += float((model.decode(latent).clamp(0, 1) - pixels).double().square().sum())
        values += pixels.numel()
        latents.append(latent.numpy())
    parts = [(decoder_sensitivity(model, latent), latent.size) for latent in latents]
    weight = sum(size for _, size in parts)
    mean: NDArray[np.float64] = np.sum([found * (size / weight) for found, size in parts], axis=0)
    return squared / max(values, 1), mean


def _hyperprior(
    model: ExportableModel,
    graphs: Mapping[str, onnx_ir.Model],
    encoder: bytes,
    images: Sequence[NDArray[np.uint8]],
) -> Calibration:
    chosen = crops(images, model, HYPERPRIOR_PIXELS, HYPERPRIOR_SIDE)
    outputs = [output[0] for output in encoder_outputs(encoder, model, chosen)]
    latents = [part[place : place + 1] for part in outputs for place in range(len(part))]
    sessions = [
        open_session(graph_bytes(graphs[role], {}), SessionOptions(), role=f"{role}.onnx")
        for role in ("prior", "hyper_encoder")
    ]
    channels = int(sessions[1].run({"latent_steps": latents[0]})[0].shape[1])
    facts = PriorFacts("hyperprior", channels, HYPER_STRIDE, int(getattr(model, "passes", 2)))
    arrays = hyperprior_tables(latents, learned_steps(model, QUALITIES), facts, *sessions)
    certain = int((arrays["scale_tables"] == 0).sum())
    return Calibration(
        arrays, {"steps": "learned gains", "tables": len(arrays["bank_sizes"]), "certain_indices": certain}
    )


def _warn(bits: NDArray[np.float64], dead: int, channels: int) -> None:
    if dead == channels:
        warnings.warn("every latent channel is constant: all images become the same", AeedgeWarning, stacklevel=3)
    elif (np.diff(bits) <= 0).any():
        worse = int(np.argmax(np.diff(bits) <= 0)) + 1
        message = f"quality {worse + 1} does not take more bytes than quality {worse}; was the model trained?"
        warnings.warn(message, AeedgeWarning, stacklevel=3)
