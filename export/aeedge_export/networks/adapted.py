"""A network from elsewhere as an autoencoder of this package."""

import hashlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from aeedge.models import Autoencoder
from aeedge.models.base import join_latents, join_patches, split_latents, split_patches
from aeedge_export.networks.geometry import Geometry
from aeedge_export.networks.pixels import PixelRange
from aeedge_export.networks.tensors import IMAGE_NAMES, LATENT_NAMES, Choice, chosen_tensor
from aeedge_runtime.bundle.stream_id import canonical_json


class AdaptedAutoencoder(Autoencoder):
    """Encoder and decoder of a user's network.

    Args:
        encoder: image to latent, in the network's own layout and numbers.
        decoder: latent to image.
        geometry: layout, stride and patches.
        pixels: the numbers that the network expects.
        latent: which output of the encoder is the latent.
        output: which output of the decoder is the image.

    Attributes:
        whole: pixels up to which an image is never cut, because the network looks at all of it; 0 for tiles.
        differentiable: whether gradients flow through the decoder.
    """

    config: Geometry
    whole: int = 0
    differentiable: bool = True

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        geometry: Geometry,
        pixels: PixelRange,
        latent: Choice = None,
        output: Choice = None,
    ) -> None:
        super().__init__(geometry)
        self.encoder, self.decoder, self.pixels = encoder, decoder, pixels
        self._latent, self._output = latent, output

    @property
    def channels(self) -> int:
        """Image channels."""
        return self.config.channels

    @property
    def stride(self) -> tuple[int, int]:
        """Rows and columns of pixels per latent position."""
        return self.config.stride

    @property
    def latent_channels(self) -> int:
        """Channels of the latent."""
        return self.config.latent_channels

    @property
    def patched(self) -> bool:
        """Whether the network takes one patch at a time."""
        return self.config.patched

    def run_encoder(self, image: Tensor, image_last: bool) -> Tensor:
        """Return the latent in the network's layout, of images `[N, C, H, W]` in 0..1."""
        value = self.pixels.to_network(image)
        value = value.permute(0, 2, 3, 1) if image_last else value
        return chosen_tensor(self.encoder(value), self._latent, LATENT_NAMES, "latent")

    def run_decoder(self, latent: Tensor) -> Tensor:
        """Return the image in the network's layout and numbers, of a latent in its layout."""
        return chosen_tensor(self.decoder(latent), self._output, IMAGE_NAMES, "output")

    def encode(self, image: Tensor) -> Tensor:
        """Return the latent `[N, c, h, w]` of images `[N, C, H, W]` in 0..1."""
        facts = self.config
        if facts.patched:
            grid = image.shape[2] // facts.stride[0], image.shape[3] // facts.stride[1]
            vectors = self.run_encoder(split_patches(image, facts.stride), facts.image_last).flatten(1)
            return join_latents(vectors, image.shape[0], grid)
        latent = self.run_encoder(image, facts.image_last)
        latent = latent.permute(0, 3, 1, 2) if facts.latent_last else latent
        return functional.pixel_unshuffle(latent, facts.cell) if facts.cell > 1 else latent

    def decode(self, latent: Tensor) -> Tensor:
        """Return images `[N, C, H, W]` in 0..1 of latents `[N, c, h, w]`."""
        facts = self.config
        if facts.patched:
            made = self.run_decoder(split_latents(latent).reshape(-1, *facts.patch_latent))
            made = made if facts.output_last else made.reshape(-1, facts.channels, *facts.stride)
            return join_patches(self._unit(made), (latent.shape[2], latent.shape[3]))
        value = functional.pixel_shuffle(latent, facts.cell) if facts.cell > 1 else latent
        return self._unit(self.run_decoder(value.permute(0, 2, 3, 1) if facts.latent_last else value))

    def decoder_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the weights that only the decoder uses, even if both halves are methods of one module."""
        encoding = {id(tensor) for tensor in used_tensors(self).values()}
        yield from (parameter for parameter in self.decoder.parameters() if id(parameter) not in encoding)

    def encoder_hash(self) -> str:
        """Return the SHA-256 (hex) of all that the latent depends on: the encoder's tensors, pixels and geometry.

        Tensors that only the decoder uses are left out, so that a new decoder keeps the stream id, even if both halves
        are methods of one module.
        """
        digest = hashlib.sha256()
        for name, tensor in sorted(used_tensors(self).items()):
            values = np.ascontiguousarray(tensor.detach().cpu().to(torch.float32).numpy(), dtype="<f4")
            digest.update(canonical_json([name, list(tensor.shape)]))
            digest.update(values.tobytes())
        return self._with_geometry(digest)

    def _with_geometry(self, digest: "hashlib._Hash") -> str:
        facts = self.config
        described = [facts.stride, facts.cell, facts.patch_latent, facts.image_last, facts.latent_last]
        digest.update(canonical_json([described, self.pixels.low, self.pixels.high]))
        return digest.hexdigest()

    def _unit(self, image: Tensor) -> Tensor:
        value = image.permute(0, 3, 1, 2) if self.config.output_last else image
        if not value.is_floating_point():
            return value.to(torch.float32) / 255
        return self.pixels.from_network(value)


def used_tensors(model: AdaptedAutoencoder) -> dict[str, Tensor]:
    """Return the parameters and buffers that the encoder uses, by their names in the encoder.

    A parameter is used if a gradient reaches it, a buffer if its module was called or owns a used parameter. If
    gradients do not flow, everything counts as used.
    """
    encoder = model.encoder
    called: set[nn.Module] = set()
    hooks = [part.register_forward_hook(lambda part, *_: called.add(part)) for part in encoder.modules()]
    kept = [(parameter, parameter.requires_grad) for parameter in encoder.parameters()]
    for parameter, _ in kept:
        parameter.requires_grad_(True)
    rows, columns = model.stride
    grid = (1, 1) if model.patched else (2, 2)
    image = torch.rand(1, model.channels, grid[0] * rows, grid[1] * columns, generator=torch.Generator().manual_seed(0))
    named = dict(encoder.named_parameters())
    used = set(named)
    try:
        with torch.enable_grad():
            latent = model.encode(image)
            if latent.requires_grad:
                found = torch.autograd.grad(latent.sum(), list(named.values()), allow_unused=True)
                used = {name for name, gradient in zip(named, found, strict=True) if gradient is not None}
    finally:
        for hook in hooks:
            hook.remove()
        with torch.no_grad():
            model.encode(image)  # what modules keep of a call has no gradients again, so that they can be copied
        for parameter, wanted in kept:
            parameter.requires_grad_(wanted)
    owners = called | {encoder.get_submodule(name.rpartition(".")[0]) for name in used}
    buffers = {
        name: buffer
        for name, buffer in encoder.named_buffers()
        if encoder.get_submodule(name.rpartition(".")[0]) in owners
    }
    return {**{name: named[name] for name in used}, **buffers}
