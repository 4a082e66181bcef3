"""Warns of runs that will disappoint before they start: too few steps, the wrong network, too few held-out images."""

from collections.abc import Iterator
from typing import Any

from aeedge.training.config import RunConfig
from aeedge.training.data.batches import BatchSource
from aeedge.training.data.coverage import patches_per_image

FEW_STEPS = 300
"""Steps below which even a small network has hardly left its initial weights."""

MANY_PATCHES = 16
"""Patches per image from which a network that sees one at a time is the wrong one."""

THRESHOLD_IMAGES = 20
"""Held-out images that a threshold of anomaly scores needs at least; `aeedge_export` checks it."""


def advice(config: RunConfig, model: Any, source: BatchSource, held_out: int, max_steps: int) -> Iterator[str]:
    """Yield what a user should know before a run is trained, a sentence each.

    Args:
        config: of the run.
        model: the network.
        source: its batches.
        held_out: number of held-out images.
        max_steps: steps of the run.
    """
    if max_steps < FEW_STEPS and config.training.trainable == "all":
        samples = max_steps * source.batch_size
        yield (
            f"only {max_steps:,} steps ({samples:,} samples) are planned, networks take thousands; "
            "use more --max-steps or --epochs"
        )
    if model.patched:
        rows, columns = model.stride
        patches = patches_per_image(source.images, (rows, columns))
        if patches >= MANY_PATCHES:
            network = "gray" if model.channels == 1 else "conv-photo or photo"
            yield (
                f"this network sees patches of {columns}x{rows} one by one, {patches:,.0f} per image here; for images "
                f"of this size, train {network}"
            )
    if not model.exact_prior and held_out < THRESHOLD_IMAGES and not config.data.source.startswith("synthetic"):
        yield (
            f"{held_out} images are held out; a threshold of anomaly scores needs {THRESHOLD_IMAGES}: raise "
            "data.held_out and data.held_out_most with --set"
        )
