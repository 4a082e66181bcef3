"""What channel groups are worth to the photo codec's prior: priors trained from scratch on the same fixed latents.

    python benchmarks/prior_groups.py --data FOLDER [--steps N]

Encodes the photos of FOLDER with the weights that ship, trains a prior for each division of the 320 channels into
groups, on the same batches from the same seed, and compares bits a pixel on photos left out; writes
results/prior_groups.json. About two minutes a division on one core with 600 steps, far from where a prior ends, so the
differences count, not the figures.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import RESULTS, save
from torch import Tensor, nn

from aeedge.machine import environment
from aeedge.models import build_model
from aeedge.models.exact_prior import HYPER_LIMIT
from aeedge.models.hyperprior import HyperpriorAutoencoder
from aeedge.reading import read_pixels
from aeedge.training.data.folder import image_paths
from aeedge.training.initial import pretrained_weights
from aeedge.training.objectives.hyperprior import code_latent

GROUPS = ((320,), (64, 256), (32, 96, 192), (32, 48, 80, 160), (32, 48, 80, 80, 80))
SIZE, BATCH, HELD_OUT = 16, 8, 20
"""Latent rows and columns of a sample, samples a step, and which share of the photos, one in so many, is left out."""

LEARNING_RATE, VALIDATION_BATCHES = 1e-3, 16


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of photos")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS / "prior_groups.json")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    weights = {name: value.float() for name, value in pretrained_weights("photo").items()}
    latents = encode(weights, image_paths(chosen.data))
    results: list[dict[str, Any]] = []
    for groups in GROUPS:
        model = fresh_prior(weights, groups)
        started = time.perf_counter()
        train(model, [latent for place, latent in enumerate(latents) if place % HELD_OUT], chosen.steps)
        bits = rate_bpp(model, latents[::HELD_OUT])
        change = 100 * (bits / results[0]["bpp"] - 1) if results else 0.0
        parameters = sum(weight.numel() for weight in model.prior.parameters())
        results.append({"groups": groups, "parameters": parameters, "bpp": round(bits, 4), "percent": round(change, 2)})
        seconds = time.perf_counter() - started
        print(f"{groups}: {bits:.4f} bpp, {change:+.2f} %, {parameters:,} parameters, {seconds:.0f} s", flush=True)
    where = environment(["benchmarks/prior_groups.py", "--data", "FOLDER", "--steps", str(chosen.steps)])
    save(chosen.out, {"environment": where, "photos": len(latents), "steps": chosen.steps, "results": results})


@torch.no_grad()
def encode(weights: dict[str, Tensor], paths: Sequence[Path]) -> list[Tensor]:
    """Latents `[c, h, w]` of photos, cut to multiples of 16 pixels, in half precision."""
    model = build_model({"family": "hyperprior"}).eval()
    model.load_state_dict(weights)
    found = []
    for path in paths:
        pixels = read_pixels(path, 3)[0]
        height, width = (size // 16 * 16 for size in pixels.shape[:2])
        image = torch.from_numpy(pixels[:height, :width].astype(np.float32) / 255).permute(2, 0, 1)[None]
        found.append(model.encode(image)[0].half())
    return found


def fresh_prior(weights: dict[str, Tensor], groups: Sequence[int]) -> HyperpriorAutoencoder:
    """Return the model that ships with an untrained prior of some groups; nothing else of it is trained."""
    torch.manual_seed(0)
    model = build_model({"family": "hyperprior", "groups": list(groups)})
    assert isinstance(model, HyperpriorAutoencoder)
    kept = {name: value for name, value in weights.items() if not name.startswith("prior.")}
    model.load_state_dict(kept, strict=False)
    return model.requires_grad_(False)


def train(model: HyperpriorAutoencoder, latents: Sequence[Tensor], steps: int) -> None:
    """Minimise the bits, weighted as the flagship's objective weighs them."""
    prior = model.prior.requires_grad_(True)
    optimizer = torch.optim.Adam(prior.parameters(), LEARNING_RATE, betas=(0.9, 0.99))
    for step, (bits, position) in enumerate(batches(model, latents, 1, steps)):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * min(1.0, (step + 1) / 100, 2 * (steps - step) / steps)
        optimizer.zero_grad()
        (bits * model.lambda_at(position) ** -0.5).mean().backward()
        nn.utils.clip_grad_norm_(prior.parameters(), 1.0)
        optimizer.step()


@torch.no_grad()
def rate_bpp(model: HyperpriorAutoencoder, latents: Sequence[Tensor]) -> float:
    """Mean bits a pixel over samples of all qualities, hyper-symbols left out: they are the same for all."""
    return float(torch.stack([bits.mean() for bits, _ in batches(model, latents, 2, VALIDATION_BATCHES)]).mean())


def batches(
    model: HyperpriorAutoencoder, latents: Sequence[Tensor], seed: int, count: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Bits a pixel and quality position, `[N]` each, of `count` batches drawn from a seed."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        samples = torch.stack([crop(latents, generator) for _ in range(BATCH)]).float()
        position = (torch.rand(1, generator=generator) + torch.arange(BATCH) / BATCH) % 1
        steps = samples / model.steps(position)[:, :, None, None]
        with torch.no_grad():
            hyper = model.hyper_encoder(steps).clamp(-HYPER_LIMIT, HYPER_LIMIT).round()
        noise = torch.rand(steps.shape, generator=generator) - 0.5
        yield code_latent(model.prior, hyper, steps, noise)[1] / (SIZE * 16) ** 2, position


def crop(latents: Sequence[Tensor], generator: torch.Generator) -> Tensor:
    """Return a random part of a random latent."""
    latent = latents[int(torch.randint(len(latents), (1,), generator=generator))]
    top, left = (int(torch.randint(size - SIZE + 1, (1,), generator=generator)) for size in latent.shape[1:])
    return latent[:, top : top + SIZE, left : left + SIZE]


if __name__ == "__main__":
    main()
