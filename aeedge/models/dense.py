"""Fixed-patch autoencoders: fully connected layers, optionally behind a stack of convolutions.

Larger images are cut into patches that never see each other; the latent has one position per patch.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from aeedge.configuration import Configuration
from aeedge.models.base import (
    Autoencoder,
    join_latents,
    join_patches,
    require_channels,
    require_sizes,
    split_latents,
    split_patches,
)
from aeedge_runtime.errors import ArgumentError

ActivationName = Literal["relu", "leaky-relu", "gelu", "tanh", "none"]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "none": nn.Identity,
}

LARGEST_KERNEL = 255


@dataclass(frozen=True)
class DenseConfig(Configuration):
    """Sizes of a fixed-patch autoencoder.

    Attributes:
        family: "dense".
        channels: image channels, 1 or 3.
        height: rows of a patch, in pixels.
        width: columns of a patch, in pixels.
        convolutions: output channels of the convolutions in front of the first linear layer, each followed by batch
            normalization and the activation; the decoder mirrors them with transposed convolutions.
        kernel: size of these convolutions, in pixels, odd.
        hidden: widths of the linear layers between patch and code; the decoder has them in reverse.
        latent: values in the code.
        activation: what follows every hidden layer.
        code_activation: whether it also follows the code (a ReLU there makes the latent non-negative).
        output: "sigmoid" ends the decoder in 0..1, "linear" leaves it open.
        signed: whether the network works on pixels in -1..1 instead of 0..1.
    """

    family: Literal["dense"] = "dense"
    channels: int = 1
    height: int = 28
    width: int = 28
    convolutions: tuple[int, ...] = ()
    kernel: int = 5
    hidden: tuple[int, ...] = (256,)
    latent: int = 64
    activation: ActivationName = "relu"
    code_activation: bool = False
    output: Literal["sigmoid", "linear"] = "sigmoid"
    signed: bool = False

    @property
    def patch(self) -> tuple[int, int]:
        """Rows and columns of a patch, in pixels."""
        return self.height, self.width

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            ArgumentError: one that no layer can have, or an even kernel.
        """
        require_channels(self.channels, 1, 3)
        require_sizes(self, "height", "width", "convolutions", "hidden", "latent")
        if self.convolutions and not (0 < self.kernel <= LARGEST_KERNEL and self.kernel % 2):
            raise ArgumentError(f"model.kernel: found {self.kernel}, expected an odd number from 1 to {LARGEST_KERNEL}")


class PatchAutoencoder(Autoencoder):
    """An autoencoder that sees one patch at a time, with the sizes of a `DenseConfig`."""

    config: DenseConfig

    @property
    def channels(self) -> int:
        """Image channels: 1 (gray) or 3 (RGB)."""
        return self.config.channels

    @property
    def stride(self) -> tuple[int, int]:
        """Rows and columns of a patch, in pixels."""
        return self.config.patch

    @property
    def latent_channels(self) -> int:
        """Values in the code of a patch."""
        return self.config.latent

    @property
    def patched(self) -> bool:
        """Always true."""
        return True

    def patch_grid(self, image: Tensor) -> tuple[int, int]:
        """Return rows and columns of patches in images [N, C, h * rows, w * columns]."""
        return image.shape[2] // self.stride[0], image.shape[3] // self.stride[1]

    def encode_patches(self, image: Tensor) -> Tensor:
        """Return what the encoder gives for every patch, [N * h * w, outputs], of images in 0..1."""
        codes: Tensor = self.encoder(to_network(split_patches(image, self.stride), self.config.signed))
        return codes

    def decode(self, latent: Tensor) -> Tensor:
        """Return images [N, C, h * rows, w * columns] of codes [N, c, h, w]."""
        patches: Tensor = self.decoder(split_latents(latent))
        return join_patches(from_network(patches, self.config.signed), (latent.shape[2], latent.shape[3]))


class DenseAutoencoder(PatchAutoencoder):
    """The fixed-patch autoencoder that a `DenseConfig` describes."""

    def __init__(self, config: DenseConfig) -> None:
        super().__init__(config)
        self.encoder = build_encoder(config, config.latent)
        if config.code_activation:
            self.encoder.append(ACTIVATIONS[config.activation]())
        self.decoder = build_decoder(config)

    def encode(self, image: Tensor) -> Tensor:
        """Return the codes [N, c, h, w] of images [N, C, h * rows, w * columns] in 0..1."""
        grid = self.patch_grid(image)
        return join_latents(self.encode_patches(image), image.shape[0], grid)


def to_network(image: Tensor, signed: bool) -> Tensor:
    """Return pixels in 0..1 in the range the network works on."""
    return image * 2 - 1 if signed else image


def from_network(image: Tensor, signed: bool) -> Tensor:
    """Return the decoder's output in 0..1; undoes `to_network`."""
    return (image + 1) / 2 if signed else image


def build_encoder(config: DenseConfig, outputs: int) -> nn.Sequential:
    """Return the layers from a patch [N, C, rows, columns] to [N, outputs]; nothing follows the last linear layer."""
    activation = ACTIVATIONS[config.activation]
    layers: list[nn.Module] = []
    depth = config.channels
    for width in config.convolutions:
        layers += [nn.Conv2d(depth, width, config.kernel, padding=config.kernel // 2), nn.BatchNorm2d(width)]
        layers.append(activation())
        depth = width
    layers += [nn.Flatten(), *_linear([depth * config.height * config.width, *config.hidden, outputs], activation)]
    return nn.Sequential(*layers)


def build_decoder(config: DenseConfig) -> nn.Sequential:
    """Return the layers from a code [N, c] to a patch [N, C, rows, columns]: the encoder's in reverse."""
    activation = ACTIVATIONS[config.activation]
    depths = [config.channels, *config.convolutions][::-1]
    layers = _linear([config.latent, *reversed(config.hidden), depths[0] * config.height * config.width], activation)
    layers.append(nn.Unflatten(1, (depths[0], config.height, config.width)))
    for depth, width in itertools.pairwise(depths):
        layers += [activation(), nn.ConvTranspose2d(depth, width, config.kernel, padding=config.kernel // 2)]
        layers.append(nn.BatchNorm2d(width))
    if config.convolutions:
        layers.pop()  # the image itself is not normalized
    if config.output == "sigmoid":
        layers.append(nn.Sigmoid())
    return nn.Sequential(*layers)


def _linear(widths: Sequence[int], activation: type[nn.Module]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), activation()]
    return layers[:-1]
