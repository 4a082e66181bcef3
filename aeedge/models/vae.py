"""Variational autoencoders on fixed patches ("Auto-Encoding Variational Bayes", arXiv 1312.6114)."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from aeedge.models.base import join_latents
from aeedge.models.dense import DenseConfig, PatchAutoencoder, build_decoder, build_encoder

LOG_VARIANCE_LIMIT = 20.0
"""Log variances are clipped to -20 .. 20, so that their exponential stays finite in float16 and float32."""


@dataclass(frozen=True)
class VaeConfig(DenseConfig):
    """Sizes of a variational autoencoder: those of a `DenseConfig`, whose code is a mean and a log variance.

    Attributes:
        family: "vae".
    """

    family: Literal["vae"] = "vae"  # type: ignore[assignment]


class VaeAutoencoder(PatchAutoencoder):
    """An autoencoder whose encoder gives a normal distribution; the latent that is compressed is its mean."""

    config: VaeConfig

    def __init__(self, config: VaeConfig) -> None:
        super().__init__(config)
        self.encoder = build_encoder(config, 2 * config.latent)
        self.decoder = build_decoder(config)

    def encode_distribution(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance, each [N, c, h, w], of images [N, C, h * rows, w * columns] in 0..1."""
        grid = self.patch_grid(image)
        mean, log_variance = self.encode_patches(image).chunk(2, dim=1)
        log_variance = log_variance.clamp(-LOG_VARIANCE_LIMIT, LOG_VARIANCE_LIMIT)
        return join_latents(mean, image.shape[0], grid), join_latents(log_variance, image.shape[0], grid)

    def encode(self, image: Tensor) -> Tensor:
        """Return the mean [N, c, h, w] of the posterior of images [N, C, h * rows, w * columns] in 0..1."""
        return self.encode_distribution(image)[0]


def reparameterize(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """Return a sample of the posterior: mean + standard deviation * noise, all [N, c, h, w], noise standard normal."""
    return mean + torch.exp(log_variance / 2) * noise
