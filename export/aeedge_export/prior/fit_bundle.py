"""From a bundle with a factorized prior to one with an exact prior; encoder and decoder stay as they are."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aeedge.models.exact_prior import PriorConfig
from aeedge_export.draft import Progress
from aeedge_export.export import export_source
from aeedge_export.images import Data, split_images
from aeedge_export.latents import encoder_outputs
from aeedge_export.prior.comparison import compare_bundles
from aeedge_export.prior.fit import fit
from aeedge_export.prior.fitted import FittedAutoencoder, networks_of
from aeedge_export.report import ExportReport
from aeedge_export.source import Source
from aeedge_export.writer import check_target
from aeedge_runtime.bundle.bundle import Bundle, BundleSource
from aeedge_runtime.errors import ArgumentError

STEPS = 800
"""Training steps: two minutes of one core for 32 latent channels, which buys nine tenths of what five minutes do."""

HYPER_CHANNELS, HIDDEN, GROUP_HIDDEN = 12, 64, (96, 96)
"""Sizes of a prior for any network; `photo` has 24, 64 and (128, 144)."""

ONE_GROUP = 64
"""Latent channels up to which one group is best: neighbors say more than earlier channels, and one group is faster."""

GROUP_SHARES = (0.1, 0.15, 0.25, 0.5)
"""Shares of the channels in the groups of a larger latent, as in `photo`."""

IMAGES = 1000
"""Images whose latents are fitted to, at most: more change little, and all are in memory."""

CALIBRATION = 24
"""Images that the tables of the prior are counted on."""

MIDDLE = 50
"""Quality at which channels are sorted by what they cost."""


def fit_prior(
    bundle: BundleSource,
    out: Path | str,
    *,
    data: Data,
    steps: int = STEPS,
    groups: Sequence[int] | None = None,
    seed: int = 0,
    force: bool = False,
    progress: Progress | None = None,
) -> ExportReport:
    """Fit an exact prior to the latents of a bundle and write the bundle that has it.

    Streams of the new bundle are smaller, and have their own stream id. Equal arguments on one machine give equal
    bytes.

    Args:
        bundle: folder, `.aeb` file or name of a shipped bundle, with a factorized prior.
        out: folder, or a name that ends in `.aeb` for one file.
        data: images like those that will be compressed: a folder, or arrays uint8 `[H, W, C]`.
        steps: training steps.
        groups: latent channels of each group of the prior; None to choose them.
        seed: seed of the prior's weights and of the training.
        force: replace an existing bundle.
        progress: called with one line per stage.

    Raises:
        ArgumentError: the bundle has a prior already, takes patches, or lacks a half; or the images do not suit it.
        ParityError: the new graphs do not compute what the fitted prior computes; nothing is written.
    """
    say = progress or (lambda line: None)
    check_target(Path(out), force=force)
    old = Bundle.load(bundle)
    _require_suitable(old)
    base = networks_of(old)
    calibration, held_out = split_images(base, data, most=IMAGES)
    say(f"latents of {len(calibration)} images")
    outputs = encoder_outputs(old.read("encoder.onnx"), base, calibration)
    latents = [torch.from_numpy(latent) for output in outputs for latent in output[0]]
    model = _with_prior(old, latents, groups, seed)
    fit(model.exact_prior, [model.centered(latent) for latent in latents], model.steps, steps, seed, say)
    facts = old.manifest
    trained = {**facts.training, "prior": {"steps": steps, "seed": seed, "images": len(calibration)}}
    source = Source(
        model=model.eval(),
        name=facts.name,
        family="hyperprior",
        preset=facts.preset,
        training=trained,
        calibration=calibration[:CALIBRATION],
        held_out=held_out,
    )
    report = export_source(source, out, force=force, progress=progress)
    say("comparison with the bundle before")
    return replace(report, facts={**report.facts, **compare_bundles(old, Bundle.load(report.path), held_out)})


def export_with_prior(
    export: Callable[[Path], ExportReport],
    out: Path | str,
    *,
    data: Data,
    force: bool = False,
    progress: Progress | None = None,
) -> ExportReport:
    """Export a bundle with a fitted prior in one go; the bundle without it is not kept.

    Args:
        export: writes the bundle without a prior to a path.
        out: see `fit_prior`, as for the options that follow.
        data: images to fit to.
        force: replace an existing bundle.
        progress: called with one line per stage.

    Raises:
        AeedgeError: see `export_source` and `fit_prior`.
    """
    check_target(Path(out), force=force)
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder) / "before"
        export(before)
        return fit_prior(before, out, data=data, force=force, progress=progress)


def _require_suitable(bundle: Bundle) -> None:
    facts = bundle.manifest
    for half in ("encoder", "decoder"):
        bundle.require(half, "fitting a prior")
    if set(facts.precision.values()) != {"fp32"}:
        raise ArgumentError(f"{bundle} is in reduced precision; start from the float32 bundle")
    if facts.prior.kind != "factorized":
        raise ArgumentError(f"{bundle} has an exact prior already")
    require_neighbors(facts.image.patched)


def require_neighbors(patched: bool) -> None:
    """Refuse networks that take patches.

    Raises:
        ArgumentError: the network does.
    """
    if patched:
        raise ArgumentError("the network takes patches, one latent position each; a prior needs neighbors to look at")


def _with_prior(
    bundle: Bundle, latents: Sequence[Tensor], groups: Sequence[int] | None, seed: int
) -> FittedAutoencoder:
    """Return the bundle's networks with an untrained prior, channels sorted by what they cost, most first."""
    tables, channels = bundle.tables, bundle.manifest.latent_channels
    spread = np.mean([latent.std(dim=(1, 2), correction=0).numpy() for latent in latents], axis=0)
    order = np.argsort(-spread / tables.steps[MIDDLE - 1], kind="stable").astype(np.int64)
    sizes = tuple(groups) if groups is not None else choose_groups(channels)
    if sum(sizes) != channels or min(sizes) < 1:
        raise ArgumentError(f"groups: {list(sizes)}, expected numbers from 1 that sum to {channels} latent channels")
    config = PriorConfig(channels, HIDDEN, HYPER_CHANNELS, sizes, GROUP_HIDDEN)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return FittedAutoencoder(
            networks_of(bundle),
            bundle.manifest.stream_id_parts["encoder"],
            bundle.manifest.limits,
            np.asarray(tables.steps),
            np.asarray(tables.offsets),
            order,
            config,
        )


def choose_groups(channels: int) -> tuple[int, ...]:
    """Return the latent channels of each group."""
    if channels <= ONE_GROUP:
        return (channels,)
    first = [max(1, round(share * channels)) for share in GROUP_SHARES[:-1]]
    return (*first, channels - sum(first))
