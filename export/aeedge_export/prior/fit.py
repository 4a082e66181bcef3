"""Fit an exact prior to latents; nothing else is trained.

Each sample of a batch gets its own quality, and its bits are measured against those of a factorized prior at that
quality, so that every rate counts alike.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aeedge.models.exact import round_through
from aeedge.models.exact_prior import HYPER_LIMIT, HYPER_STRIDE, ExactPrior
from aeedge.training.objectives.hyperprior import HyperRate, code_latent
from aeedge_runtime.bundle.tables import QUALITIES

BATCH, SIDE = 8, 32
"""Samples of a step, and their latent rows and columns."""

LEARNING_RATE = 2e-3
WARM_UP, CONSTANT = 100, 0.6
"""Steps until the learning rate is reached, and the share of all steps until it falls."""

GOLDEN_SHARE = 0.6180339887498949
"""Spreads the qualities of a batch evenly."""

ANCHORS = (1, 12, 25, 37, 50, 62, 75, 87, 100)
"""Qualities at which the bits of a factorized prior are measured; the others are interpolated."""

SHOWN = 50
"""Steps from one line of progress to the next."""


def fit(
    prior: ExactPrior,
    latents: Sequence[Tensor],
    steps: NDArray[np.float32],
    count: int,
    seed: int,
    say: Callable[[str], None],
) -> None:
    """Train a prior in place.

    Args:
        prior: freshly initialized.
        latents: centered latents `[c, h, w]` of real images.
        steps: quantizer steps `[100, c]`.
        count: training steps; the schedule depends on them and not on time, so that equal seeds give equal priors.
        seed: seed of samples and noise.
        say: called with one line now and then.
    """
    generator = torch.Generator().manual_seed(seed)
    rate = HyperRate(prior.config.hyper_channels)
    trained = [*prior.parameters(), *rate.parameters()]
    optimizer = torch.optim.Adam(trained, LEARNING_RATE, betas=(0.9, 0.99))
    table, expected = torch.from_numpy(steps).log(), factorized_bits(latents, steps)
    side = sample_side(latents)
    usable = [latent for latent in latents if min(latent.shape[1:]) >= side]
    for step in range(count):
        optimizer.param_groups[0]["lr"] = learning_rate(step, count)
        position = (torch.rand(1, generator=generator) + GOLDEN_SHARE * torch.arange(BATCH)) % 1
        sample = torch.stack([_sample(usable, side, generator) for _ in range(BATCH)])
        loss = _loss(prior, rate, sample, position, table, expected, generator)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        if step % SHOWN == SHOWN - 1 or step + 1 == count:
            say(f"prior: step {step + 1} of {count}, {100 * loss.item():.0f} % of the bits without it")


def learning_rate(step: int, count: int) -> float:
    """Return the learning rate of a step: a short rise, constant, then linearly to almost 0."""
    share = step / count
    return LEARNING_RATE * min(1, (step + 1) / WARM_UP) * (1 if share < CONSTANT else (1 - share) / (1 - CONSTANT))


def sample_side(latents: Sequence[Tensor]) -> int:
    """Return rows and columns of a sample: those of the smaller images, in whole hyper-positions."""
    sides = sorted(min(latent.shape[1:]) for latent in latents)
    typical = sides[len(sides) // 4]
    return max(min(SIDE, typical // HYPER_STRIDE * HYPER_STRIDE), min(HYPER_STRIDE, sides[-1]))


def factorized_bits(latents: Sequence[Tensor], steps: NDArray[np.float32]) -> Tensor:
    """Return the bits of a latent position at each quality, `[100]`, if every channel had its own table."""
    values = torch.cat([latent.flatten(1) for latent in latents], dim=1).numpy()
    values = values[:, :: max(1, values.size // (1 << 21))]
    found = []
    for quality in ANCHORS:
        symbols = np.rint(values / steps[quality - 1][:, None])
        found.append(sum(_entropy(channel) for channel in symbols))
    bits = np.interp(np.arange(1, QUALITIES + 1), ANCHORS, np.maximum(found, 1e-2))
    return torch.from_numpy(bits.astype(np.float32))


def _entropy(symbols: NDArray[np.float32]) -> float:
    counts = np.unique(symbols, return_counts=True)[1] / len(symbols)
    return float(-(counts * np.log2(counts)).sum())


def _sample(latents: Sequence[Tensor], side: int, generator: torch.Generator) -> Tensor:
    latent = latents[int(torch.randint(len(latents), (1,), generator=generator))]
    top, left = (int(torch.randint(size - side + 1, (1,), generator=generator)) for size in latent.shape[1:])
    return latent[:, top : top + side, left : left + side]


def _loss(
    prior: ExactPrior,
    rate: HyperRate,
    sample: Tensor,
    position: Tensor,
    table: Tensor,
    expected: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Return the bits of a batch as a share of the bits of a factorized prior."""
    place = position * (QUALITIES - 1)
    row = place.round().long()
    latent = sample / table[row].exp()[:, :, None, None]
    hyper = prior.hyper_encoder(latent)
    noise = torch.rand(hyper.shape, generator=generator) - 0.5
    bits = rate(hyper + noise, position).sum(dim=(1, 2, 3))
    symbols = round_through(hyper.clamp(-HYPER_LIMIT, HYPER_LIMIT))
    noise = torch.rand(latent.shape, generator=generator) - 0.5
    bits = bits + code_latent(prior.prior, symbols, latent, noise)[1]
    share: Tensor = bits / (latent.shape[2] * latent.shape[3]) / expected[row]
    return share.mean()
