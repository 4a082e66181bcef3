"""Rate-distortion objective of the flagship: bits per pixel plus lambda times distortion, all qualities at once.

Each image of a batch gets its own quality, so that one network learns every rate. The rate is estimated with uniform
noise in place of rounding ("End-to-end optimized image compression", arXiv 1611.01704); the decoder sees rounded
values with a straight-through gradient ("Channel-wise autoregressive entropy models", arXiv 2007.08739). Both know
the dead zone of the codec: what is little more than half a step from its mean becomes zero where a nonzero symbol is
expensive (rate-distortion optimized quantization; Sullivan, "Efficient scalar quantization of exponential and Laplacian
random variables", IEEE Transactions on Information Theory 42, 1996).
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from aeedge.models.exact import round_through, straight_through
from aeedge.models.exact_prior import HYPER_LIMIT, HYPER_STRIDE, Prior, checkerboard, table_scale
from aeedge.models.hyperprior import HyperpriorAutoencoder
from aeedge.training.objectives import losses
from aeedge_runtime.bundle.tables import SCALES

SMALLEST_LIKELIHOOD = 1e-9

SQUARED_RANGE = 255.0**2
"""Of a squared error in 0..1 in 8-bit units."""

LAMBDA_EQUALISER = 0.5
"""Images are weighted by lambda^-0.5, which makes a relative change of rate count the same at every quality."""


RATE_WORTH = 0.07
"""Squared error, in quantizer steps, that one bit is worth in the dead zone.

At high rates a uniform quantizer gains log(2) / 6 = 0.116 with a bit, but the network weighs much of that itself. For
the photo codec trained with a dead zone, bytes at equal PSNR are least for 0.06 to 0.08 (32 held-out photos); trained
without, for 0.035.
"""

MOST_SAVED = 10.0
"""Bits that the dead zone thinks a zero saves at most."""


class HyperRate(nn.Module):
    """Stand-in for the hyper-symbols' tables in training: a logistic density per channel, wider with quality."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(2, channels))

    def forward(self, hyper: Tensor, position: Tensor) -> Tensor:
        """Return bits per element `[N, cz, hz, wz]` of values `hyper` at quality positions `[N]` in 0..1."""
        low, high = self.log_scale
        log_scale = low + (high - low) * position[:, None]
        inverse = torch.exp(-log_scale)[:, :, None, None]
        distance = hyper.abs()
        likelihood = torch.sigmoid((0.5 - distance) * inverse) - torch.sigmoid((-0.5 - distance) * inverse)
        return -torch.log2(likelihood.clamp_min(SMALLEST_LIKELIHOOD))


def gaussian_bits(residual: Tensor, scale: Tensor) -> Tensor:
    """Return the bits of a unit-wide bin around `residual` under a zero-mean normal of a scale, elementwise."""
    distance = residual.abs()
    factor = 1 / (scale * math.sqrt(2))
    likelihood = 0.5 * (torch.erf((0.5 - distance) * factor) - torch.erf((-0.5 - distance) * factor))
    return -torch.log2(likelihood.clamp_min(SMALLEST_LIKELIHOOD))


def zero_below(saved: Tensor) -> Tensor:
    """Return the distance from its mean, in steps, below which a symbol becomes zero: 0.5 to below 1.

    A value v in 0.5 .. 1 costs 2 v - 1 more squared error as 0 than as 1.

    Args:
        saved: bits of a 1, sign included, less those of a 0.
    """
    return 0.5 + RATE_WORTH / 2 * saved.clamp(0, MOST_SAVED)


def dead_zones(device: torch.device | str = "cpu") -> Tensor:
    """Return the distance of `zero_below` for each table index, `[64]`, under the normal distribution it stands for."""
    factor = 1 / (table_scale(torch.arange(SCALES, device=device)) * math.sqrt(2))
    beyond_half, beyond = torch.erfc(0.5 * factor), torch.erfc(1.5 * factor)
    zero, one = 1 - beyond_half, beyond_half - beyond
    return zero_below(1 + torch.log2(zero.clamp_min(SMALLEST_LIKELIHOOD) / one.clamp_min(SMALLEST_LIKELIHOOD)))


def quantize(residual: Tensor, zone: Tensor) -> Tensor:
    """Round half to even, but to zero in the dead zone, with a straight-through gradient."""
    return straight_through(torch.where(residual.abs() < zone, 0.0, residual.round()), residual)


def without_zone(residual: Tensor, zone: Tensor) -> Tensor:
    """Stretch 0 .. 3/2 piecewise so that the dead zone ends at 1/2, where rounding with noise takes it to end."""
    distance = residual.abs()
    stretched = torch.where(distance < zone, distance * 0.5 / zone, 0.5 + (distance - zone) / (1.5 - zone))
    return residual.sign() * torch.where(distance < 1.5, stretched, distance)


Noise = tuple[Tensor, Tensor]
"""Quantization noise in -1/2 .. 1/2 of the latent `[N, c, h, w]` and of the hyper-latent `[N, cz, h/4, w/4]`."""


def noise_shapes(model: HyperpriorAutoencoder, image: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of the noise of a batch `[N, 3, H, W]`, sizes multiples of 64: latent and hyper-latent."""
    count, _, height, width = image.shape
    rows, columns = height // model.stride[0], width // model.stride[1]
    hyper = rows // HYPER_STRIDE, columns // HYPER_STRIDE
    return (count, model.latent_channels, rows, columns), (count, model.config.hyper_channels, *hyper)


def rate_distortion(
    model: HyperpriorAutoencoder,
    hyper_rate: HyperRate,
    source: Tensor,
    target: Tensor,
    position: Tensor,
    noise: Noise,
    terms: Mapping[str, float],
) -> dict[str, Tensor]:
    """Return the loss of one batch.

    Args:
        model: the network.
        hyper_rate: density of the hyper-symbols, trained along.
        source: what is encoded, float32 `[N, 3, H, W]` in 0..1, sizes multiples of 64.
        target: what should come back, likewise; the same images, damaged ones restored.
        position: quality of each image, `[N]` in 0..1.
        noise: quantization noise, see `noise_shapes`.
        terms: distortions of `losses` -> weight. 255^2 times their sum is what lambda weighs.

    Returns:
        `loss` to minimize; `rate_bpp`, `hyper_bpp`, `mse_255` (squared error in 8-bit units) and each other
        distortion under its name, batch means.
    """
    pixels = target.shape[2] * target.shape[3]
    steps = model.steps(position)[:, :, None, None]
    latent_steps = model.encode(source).float() / steps
    hyper = model.hyper_encoder(latent_steps).float()
    latent_noise, hyper_noise = noise
    hyper_bits = hyper_rate(hyper + hyper_noise, position).sum(dim=(1, 2, 3))
    hyper_symbols = round_through(hyper.clamp(-HYPER_LIMIT, HYPER_LIMIT))

    decoded, bits = code_latent(model.prior, hyper_symbols, latent_steps, latent_noise)
    restored = model.decode(decoded * steps).float()
    with torch.autocast(target.device.type, enabled=False):
        parts = losses.mixture(restored, target, terms)
    error = torch.stack([terms[name] * part for name, part in parts.items()]).sum(0) * SQUARED_RANGE
    squared = parts["mse"] if "mse" in parts else losses.mse(restored, target)
    rate = (hyper_bits + bits) / pixels
    weight = model.lambda_at(position)
    middle = math.sqrt(model.config.smallest_lambda * model.config.largest_lambda)
    loss = ((rate + weight * error) * (weight / middle) ** -LAMBDA_EQUALISER).mean()
    return {
        "loss": loss,
        "rate_bpp": rate.detach().mean(),
        "hyper_bpp": hyper_bits.detach().mean() / pixels,
        "mse_255": squared.detach().mean() * SQUARED_RANGE,
        **{name: part.detach().mean() for name, part in parts.items() if name != "mse"},
    }


def code_latent(prior: Prior, hyper_symbols: Tensor, latent_steps: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Quantize group by group, as the codec does.

    Args:
        prior: predicts the symbols.
        hyper_symbols: integers in float32 `[N, cz, h/4, w/4]`.
        latent_steps: the latent in quantizer steps `[N, c, h, w]`.
        noise: of the latent, in -1/2 .. 1/2, in place of rounding where bits are counted.

    Returns:
        The decoded latent in steps, `[N, c, h, w]`, and the bits of each image `[N]`.
    """
    groups = prior.groups
    wanted = torch.split(latent_steps, list(groups), dim=1)
    features = prior.features(hyper_symbols, (latent_steps.shape[2], latent_steps.shape[3]))
    zones = dead_zones(latent_steps.device)
    predicted = [_two_passes(prior, features, wanted[0], zones)]
    symbols: list[Tensor] = []
    decoded: list[Tensor] = []
    for number in range(1, len(groups)):
        _add(wanted[number - 1], predicted[-1], zones, symbols, decoded)
        predicted.append(
            _in_float(*prior.later_group(number, features, torch.cat(symbols, dim=1), torch.cat(decoded, dim=1)))
        )
    _add(wanted[-1], predicted[-1], zones, symbols, decoded)
    index, mean = (torch.cat(parts, dim=1) for parts in zip(*predicted, strict=True))
    residual = without_zone(latent_steps - mean, zones[index.long()])
    bits = gaussian_bits(residual + noise, table_scale(index))
    return torch.cat(decoded, dim=1), bits.sum(dim=(1, 2, 3))


def _two_passes(prior: Prior, features: tuple[Tensor, Tensor], wanted: Tensor, zones: Tensor) -> tuple[Tensor, Tensor]:
    """Return table index and mean of the first group, quantized in two checkerboard passes."""
    first = checkerboard(wanted)
    nothing = torch.zeros_like(wanted)
    index, mean = _in_float(*prior.first_group(features, nothing, nothing, torch.zeros_like(first)))
    symbols = quantize(wanted - mean, zones[index.long()]) * first
    context_latent = symbols + mean * first
    index_second, mean_second = _in_float(*prior.first_group(features, symbols.detach(), context_latent, first))
    chosen = first.bool()
    return torch.where(chosen, index, index_second), torch.where(chosen, mean, mean_second)


def _add(
    wanted: Tensor, predicted: tuple[Tensor, Tensor], zones: Tensor, symbols: list[Tensor], decoded: list[Tensor]
) -> None:
    """Quantize what is wanted around its mean; the exact branch takes no gradient through symbols."""
    index, mean = predicted
    rounded = quantize(wanted - mean, zones[index.long()])
    symbols.append(rounded.detach())
    decoded.append(rounded + mean)


def _in_float(index: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    return index, mean.float()
