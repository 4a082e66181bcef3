"""The interface that every autoencoder of this package has, whatever its family."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from aeedge.configuration import Configuration
from aeedge.models.exact_prior import ExactPrior
from aeedge_runtime.errors import ArgumentError

LARGEST_SIZE = 65536
"""Largest number of channels, values or pixels a side that a layer may have."""

MOST_BLOCKS = 256
"""Residual blocks in a row."""


def require_sizes(config: Any, *names: str, least: int = 1, most: int = LARGEST_SIZE) -> None:
    """Check that layers can have the sizes of a model config; of a list, every number.

    Raises:
        ArgumentError: naming the key.
    """
    for name in names:
        found = getattr(config, name)
        numbers = found if isinstance(found, tuple) else (found,)
        if not all(least <= number <= most for number in numbers):
            shown = list(found) if isinstance(found, tuple) else found
            raise ArgumentError(f"model.{name}: found {shown}, expected {least} to {most}")


def require_channels(channels: int, *supported: int) -> None:
    """Check that a family supports a number of image channels.

    Raises:
        ArgumentError: naming the key.
    """
    if channels not in supported:
        raise ArgumentError(f"model.channels: found {channels}, expected {' or '.join(map(str, supported))}")


class Autoencoder(nn.Module, ABC):
    """An image autoencoder: `encode` and `decode` are each other's inverse, as far as the model can.

    Weights live under `encoder.` and `decoder.` (a hyperprior adds `hyper_encoder.` and `prior.`), so that the
    halves can be hashed, frozen and exported apart.

    Attributes:
        config: the frozen config that rebuilds the architecture.
    """

    encoder: nn.Module
    decoder: nn.Module

    def __init__(self, config: Configuration) -> None:
        super().__init__()
        self.config = config

    @property
    @abstractmethod
    def channels(self) -> int:
        """Image channels: 1 (gray) or 3 (RGB)."""

    @property
    @abstractmethod
    def stride(self) -> tuple[int, int]:
        """Rows and columns of pixels per latent position; the patch size of a patched model."""

    @property
    @abstractmethod
    def latent_channels(self) -> int:
        """Channels of the latent."""

    @property
    def patched(self) -> bool:
        """Whether the network sees one patch at a time and nothing around it."""
        return False

    @property
    def exact_prior(self) -> ExactPrior | None:
        """The prior that predicts the tables of the latent's symbols from side information, if there is one."""
        return None

    def decoder_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the weights that only the decoder uses: they may change and streams stay valid."""
        yield from self.decoder.parameters()

    @abstractmethod
    def encode(self, image: Tensor) -> Tensor:
        """Return the latent of images.

        Args:
            image: [N, C, H, W] float32 in 0..1, H and W multiples of the stride.

        Returns:
            [N, c, H / stride, W / stride] float32.
        """

    @abstractmethod
    def decode(self, latent: Tensor) -> Tensor:
        """Return images [N, C, H, W] float32, nominally 0..1 and not clamped, of a latent [N, c, h, w]."""

    def forward(self, image: Tensor) -> Tensor:
        """Return the reconstruction of images [N, C, H, W] by way of the unquantized latent."""
        return self.decode(self.encode(image))


def split_patches(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut [N, C, h * rows, w * columns] into patches [N * h * w, C, rows, columns], row-major in each image.

    Raises:
        ArgumentError: the image is not a whole number of patches.
    """
    rows, columns = size
    if image.shape[2] == rows and image.shape[3] == columns:
        return image  # one patch an image: the exported graph holds no reshaping
    count, channels, height, width = image.shape
    if height % rows or width % columns:
        raise ArgumentError(f"an image of {height}x{width} is not a multiple of the patch, {rows}x{columns}")
    cut = image.reshape(count, channels, height // rows, rows, width // columns, columns)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels, rows, columns)


def join_patches(patches: Tensor, grid: tuple[int, int]) -> Tensor:
    """Put patches [N * h * w, C, rows, columns] together as [N, C, h * rows, w * columns]; undoes `split_patches`."""
    height, width = grid
    if height == 1 and width == 1:
        return patches
    _, channels, rows, columns = patches.shape
    cut = patches.reshape(-1, height, width, channels, rows, columns)
    return cut.permute(0, 3, 1, 4, 2, 5).reshape(-1, channels, height * rows, width * columns)


def join_latents(vectors: Tensor, count: int, grid: tuple[int, int]) -> Tensor:
    """Arrange one latent vector per patch, [N * h * w, c], as a latent [N, c, h, w]."""
    if grid == (1, 1):
        return vectors[:, :, None, None]
    return vectors.reshape(count, *grid, -1).permute(0, 3, 1, 2)


def split_latents(latent: Tensor) -> Tensor:
    """Return one vector per patch, [N * h * w, c], of a latent [N, c, h, w]; undoes `join_latents`."""
    if latent.shape[2] == 1 and latent.shape[3] == 1:
        return latent.flatten(1)
    return latent.permute(0, 2, 3, 1).reshape(-1, latent.shape[1])


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable and frozen parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


@torch.no_grad()
def macs_per_pixel(model: Autoencoder) -> tuple[float, float]:
    """Return multiply-accumulates per image pixel of the encoder and of the decoder, counted by running both.

    Convolutions and linear layers are counted; activations and normalization are not.
    """
    counts = [0.0]

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        positions = inputs[0] if isinstance(module, nn.ConvTranspose2d) else output
        spread = positions.numel() // positions.shape[1]
        weight: Tensor = module.weight  # type: ignore[assignment]
        counts[0] += weight.numel() * spread

    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    hooks = [module.register_forward_hook(count) for module in model.modules() if isinstance(module, kinds)]
    rows, columns = model.stride if model.patched else (model.stride[0] * 4, model.stride[1] * 4)
    was_training = model.training
    model.eval()
    latent = model.encode(torch.zeros(1, model.channels, rows, columns))
    encoder, counts[0] = counts[0], 0.0
    model.decode(latent)
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    return encoder / (rows * columns), counts[0] / (rows * columns)
