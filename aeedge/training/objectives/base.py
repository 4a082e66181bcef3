"""Objectives: callables `objective(model, batch, info)` that return named scalars, one of them `loss`.

An objective is a module because some have weights of their own (the density of the latent), which are trained and
checkpointed along with the model but are no part of it.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn

from aeedge.models import Autoencoder
from aeedge.models.exact import round_through
from aeedge.models.hyperprior import HyperpriorAutoencoder
from aeedge.models.vae import VaeAutoencoder, reparameterize
from aeedge.training.config import LossConfig
from aeedge.training.data.batches import Batch, StepInfo, uncompiled
from aeedge.training.objectives import losses
from aeedge.training.objectives.factorized import FactorizedDensity
from aeedge.training.objectives.hyperprior import SQUARED_RANGE, HyperRate, noise_shapes, rate_distortion
from aeedge.training.objectives.stream_tables import StreamTables
from aeedge_runtime.errors import ArgumentError

SMALLEST_DISTORTION = 1e-9
"""Where the logarithm of a distortion ends."""

GOLDEN_SHARE = 0.6180339887498949
"""Multiples of it, modulo 1, are spread evenly: any few consecutive ones are far apart."""


class Reconstruction(nn.Module):
    """A weighted sum of distortions."""

    def __init__(self, config: LossConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, model: Autoencoder, batch: Batch, info: StepInfo) -> dict[str, Tensor]:
        """Return `loss` and each distortion of a batch."""
        return self.distortion(model.decode(model.encode(batch.source)), batch.target)

    def distortion(self, image: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the weighted distortion as `loss` and each part under its name, in float32 whatever the autocast."""
        with torch.autocast(image.device.type, enabled=False):
            parts = losses.mixture(image.float(), target.float(), self.config.terms)
            values = target[0].numel() if self.config.reduction == "sum" else 1
            means = {name: part.mean() * values for name, part in parts.items()}
        loss = torch.stack([self.config.terms[name] * value for name, value in means.items()]).sum()
        return {"loss": loss, **{name: value.detach() for name, value in means.items()}}


class StreamReconstruction(Reconstruction):
    """The distortion of latents as old streams carry them, for a decoder that is trained alone.

    Each image draws one of the 100 qualities. A decoder that only ever saw latents before rounding gains at high
    qualities and loses at low ones (MNIST, dense-mnist-deep: +0.5 dB at 80, -0.8 dB at 20). The loss is the mean
    logarithm of the images' distortions, so that it is the mean PSNR over qualities that rises: with the plain mean
    the coarsest steps rule (+1.1 dB at 20, nothing at 80).
    """

    def __init__(self, config: LossConfig, tables: StreamTables) -> None:
        super().__init__(config)
        self.tables = tables

    def forward(self, model: Autoencoder, batch: Batch, info: StepInfo) -> dict[str, Tensor]:
        """Return `loss` and each distortion of a batch."""
        latent = model.encode(batch.source).float()
        position = info.uniform("quality", (len(latent), 1), latent.device).flatten()
        row = (position * self.tables.qualities).long().clamp(max=self.tables.qualities - 1)
        image = model.decode(self.tables(latent, row))
        with torch.autocast(latent.device.type, enabled=False):
            parts = losses.mixture(image.float(), batch.target.float(), self.config.terms)
        distortion = torch.stack([self.config.terms[name] * value for name, value in parts.items()]).sum(0)
        loss = distortion.clamp_min(SMALLEST_DISTORTION).log().mean()
        return {"loss": loss, **{name: value.detach().mean() for name, value in parts.items()}}


class Variational(Reconstruction):
    """The negative evidence lower bound: distortion of a posterior sample plus the weighted KL divergence."""

    def forward(self, model: Autoencoder, batch: Batch, info: StepInfo) -> dict[str, Tensor]:
        """Return `loss`, each distortion and `kl`, in nats an image (reduction "sum") or a value ("mean")."""
        mean, log_variance = cast(VaeAutoencoder, model).encode_distribution(batch.source)
        mean, log_variance = mean.float(), log_variance.float()
        noise = info.normal("posterior", tuple(mean.shape), mean.device)
        parts = self.distortion(model.decode(reparameterize(mean, log_variance, noise)), batch.target)
        kl = losses.kl_normal(mean, log_variance, self.config.free_bits).mean()
        if self.config.reduction == "mean":
            kl = kl / batch.target[0].numel()
        weight = kl_weight(self.config, info, kl.device)
        return {**parts, "loss": parts["loss"] + weight * kl, "kl": kl.detach()}


@uncompiled
def kl_weight(config: LossConfig, info: StepInfo, device: torch.device) -> Tensor:
    """Return the weight of the KL divergence at a step of the warm-up or after it, a float32 scalar."""
    return torch.tensor(config.kl_weight * losses.warm(info.step, config.kl_warmup_steps), device=device)


class RateDistortion(Reconstruction):
    """Bits per pixel under a learned density plus lambda times distortion, over a range of quantizer steps at once.

    Each image draws its step s; lambda is proportional to 1 / s^2, as it is for a uniform quantizer at high rate, and
    the loss is divided by sqrt(lambda), so that no rate outweighs the others.
    """

    def __init__(self, config: LossConfig, model: Autoencoder) -> None:
        super().__init__(config)
        scale = config.step_range[0] / LossConfig().step_range[0]  # a latent of small numbers has small steps
        self.density = FactorizedDensity(model.latent_channels, scale)

    def forward(self, model: Autoencoder, batch: Batch, info: StepInfo) -> dict[str, Tensor]:
        """Return `loss`, `rate_bpp` and each distortion of a batch."""
        latent = model.encode(batch.source).float()
        count, pixels = latent.shape[0], batch.target.shape[2] * batch.target.shape[3]
        low, high = self.config.step_range
        position = info.uniform("step", (count, 1), latent.device)
        step = (low * (high / low) ** position)[:, :, None, None]
        noise = info.uniform("quantiser", tuple(latent.shape), latent.device) - 0.5
        rate = self.density(latent + noise * step, step).flatten(1).sum(1) / pixels
        image = model.decode(round_through(latent / step) * step)
        with torch.autocast(latent.device.type, enabled=False):
            parts = losses.mixture(image.float(), batch.target, self.config.terms)
        distortion = torch.stack([self.config.terms[name] * value for name, value in parts.items()]).sum(0)
        weight = self.config.rate_lambda / step.flatten() ** 2
        loss = ((rate + weight * SQUARED_RANGE * distortion) * (weight / self.config.rate_lambda) ** -0.5).mean()
        means = {name: value.detach().mean() for name, value in parts.items()}
        return {"loss": loss, "rate_bpp": rate.detach().mean(), **means}


class Hyperprior(nn.Module):
    """The flagship's objective (`aeedge.training.objectives.hyperprior`): every image of a batch at its own quality."""

    def __init__(self, config: LossConfig, model: HyperpriorAutoencoder) -> None:
        super().__init__()
        self.terms = dict(config.terms)
        self.hyper_rate = HyperRate(model.config.hyper_channels)
        self._rate_distortion = rate_distortion

    def compile(self, *arguments: Any, **options: Any) -> None:
        """Compile the part after the noise is drawn, which is one graph."""
        self._rate_distortion = torch.compile(rate_distortion, *arguments, **options)

    def forward(self, model: Autoencoder, batch: Batch, info: StepInfo) -> dict[str, Tensor]:
        """Return `loss`, `rate_bpp`, `hyper_bpp`, `mse_255` and each other distortion of a batch."""
        count, device = batch.target.shape[0], batch.target.device
        spread = GOLDEN_SHARE * (info.first + torch.arange(count, device=device))
        position = (info.shared("quality") + spread) % 1  # evenly over the qualities, whatever the batch
        hyperprior = cast(HyperpriorAutoencoder, model)
        latent, hyper = noise_shapes(hyperprior, batch.target)
        noise = (
            info.uniform("latent", latent, device) - 0.5,
            info.uniform("hyper", hyper, device) - 0.5,
        )
        training = torch.is_grad_enabled()  # validation is too short to compile once more for it
        return (self._rate_distortion if training else rate_distortion)(
            hyperprior, self.hyper_rate, batch.source, batch.target, position, noise, self.terms
        )


def build_objective(config: LossConfig, model: Any, tables: bytes | None = None) -> nn.Module:
    """Return the objective of a config for a model.

    Args:
        config: of the loss.
        model: what is trained.
        tables: `entropy.npz` of the bundle whose streams a decoder that is trained alone must decode. A hyperprior
            needs none: its steps are weights of the model, frozen with the encoder.

    Raises:
        ArgumentError: objective, distortions or tables do not fit the model's family.
    """
    family = model.config.family
    fits = {"vae": family == "vae", "hyperprior": family == "hyperprior"}.get(config.kind, family != "hyperprior")
    if not fits:
        raise ArgumentError(f'training.loss.kind: found "{config.kind}", which does not fit a {family} model')
    if "bce" in config.terms and getattr(model.config, "output", "linear") != "sigmoid":
        raise ArgumentError(
            'training.loss.terms: found "bce" and a model with an open output, expected another distortion or, '
            'in a dense or vae model, model.output="sigmoid"'
        )
    if config.kind == "hyperprior":
        return Hyperprior(config, model)
    if tables is not None:
        return StreamReconstruction(config, StreamTables(tables, model.latent_channels))
    if config.kind == "vae":
        return Variational(config)
    if config.kind == "rate-distortion":
        return RateDistortion(config, model)
    return Reconstruction(config)
