"""The networks of a bundle with its own exact prior."""

import hashlib

import numpy as np
import onnx_ir
import torch
from numpy.typing import NDArray
from torch import Tensor

from aeedge.models import Autoencoder
from aeedge.models.exact_prior import ExactPrior, PriorConfig
from aeedge_export.networks.geometry import Geometry
from aeedge_export.networks.onnx_graphs import sorted_decoder, sorted_encoder
from aeedge_export.networks.onnx_half import OnnxHalf, read_onnx
from aeedge_export.networks.onnx_pair import OnnxAutoencoder
from aeedge_export.networks.pixels import RANGES
from aeedge_runtime.bundle.bundle import Bundle
from aeedge_runtime.bundle.manifest import LimitFacts
from aeedge_runtime.bundle.stream_id import canonical_json


class FittedAutoencoder(Autoencoder):
    """Encoder and decoder of a bundle, their latent centered and sorted, and an exact prior for it.

    Args:
        base: the networks.
        encoder: hash of the encoder, from the bundle's stream id.
        limits: tiling of the bundle.
        steps: quantizer steps `[100, c]` of the bundle.
        offsets: latent of symbol 0, `[c]`; an exact prior works around 0.
        order: channels in the order of the groups, `[c]`.
        prior: sizes of the prior.
    """

    config: Geometry
    encoder: OnnxHalf
    decoder: OnnxHalf

    def __init__(
        self,
        base: OnnxAutoencoder,
        encoder: str,
        limits: LimitFacts,
        steps: NDArray[np.float32],
        offsets: NDArray[np.float32],
        order: NDArray[np.int64],
        prior: PriorConfig,
    ) -> None:
        super().__init__(base.config)
        made = ExactPrior(prior)
        self.base, self.encoder, self.decoder = base, base.encoder, base.decoder
        self.limits, self._hash = limits, encoder
        self.hyper_encoder, self.prior, self._prior_config = made.hyper_encoder, made.prior, prior
        self.steps: NDArray[np.float32] = steps[:, order]
        self.register_buffer("order", torch.from_numpy(order), persistent=False)
        self.register_buffer("offset", torch.from_numpy(offsets[order])[:, None, None], persistent=False)

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
    def exact_prior(self) -> ExactPrior:
        """The prior; it shares this model's weights."""
        return ExactPrior(self._prior_config, self.hyper_encoder, self.prior)

    def encode(self, image: Tensor) -> Tensor:
        """Return the centered, sorted latent `[N, c, h, w]` of images `[N, C, H, W]` in 0..1."""
        return self.centered(self.base.encode(image))

    def decode(self, latent: Tensor) -> Tensor:
        """Return images `[N, C, H, W]` in 0..1 of such a latent."""
        return self.base.decode((latent + self._offset()).index_select(1, torch.argsort(self._order())))

    def centered(self, latent: Tensor) -> Tensor:
        """Return a latent `[..., c, h, w]` of the bundle centered and sorted."""
        return latent.index_select(-3, self._order()) - self._offset()

    def encoder_hash(self) -> str:
        """Return the SHA-256 (hex) of all that the latent depends on: the old encoder, order and offsets."""
        described = [self._hash, self._order().tolist(), self._offset().flatten().tolist()]
        return hashlib.sha256(canonical_json(described)).hexdigest()

    def graphs(self) -> dict[str, onnx_ir.Model]:
        """Return the graphs of encoder and decoder: the bundle's, with the latent sorted and centered."""
        order, offset = self._order().numpy(), self._offset().float().numpy()[None]
        return {
            "encoder": sorted_encoder(self.encoder, self.config, order, offset),
            "decoder": sorted_decoder(self.decoder, self.config, order, offset),
        }

    def _order(self) -> Tensor:
        return self.get_buffer("order")

    def _offset(self) -> Tensor:
        return self.get_buffer("offset")


def networks_of(bundle: Bundle) -> OnnxAutoencoder:
    """Return the networks of a bundle, run by onnxruntime."""
    facts = bundle.manifest
    geometry = Geometry(
        channels=facts.image.channels,
        stride=facts.image.stride,
        latent_channels=facts.latent_channels,
        image_last=True,
        output_last=True,
    )
    names = ("encoder.onnx", "decoder.onnx")
    encoder, decoder = (OnnxHalf(read_onnx(bundle.read(name), name), name) for name in names)
    return OnnxAutoencoder(encoder, decoder, geometry, RANGES["bytes"])
