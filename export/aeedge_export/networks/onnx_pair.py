"""Two ONNX files from elsewhere as an autoencoder, and the graphs of its bundle."""

import hashlib

import onnx_ir
from torch import Tensor

from aeedge_export.networks.adapted import AdaptedAutoencoder
from aeedge_export.networks.geometry import Geometry
from aeedge_export.networks.onnx_graphs import decoder_graph, encoder_graph
from aeedge_export.networks.onnx_half import UINT8, OnnxHalf
from aeedge_export.networks.pixels import RANGES, PixelRange
from aeedge_runtime.bundle.stream_id import canonical_json


class OnnxAutoencoder(AdaptedAutoencoder):
    """An encoder and a decoder that onnxruntime runs; there are no gradients.

    Args:
        encoder: image to latent.
        decoder: latent to image.
        geometry: layout, stride and patches.
        pixels: the numbers that the graphs expect.
    """

    encoder: OnnxHalf
    decoder: OnnxHalf
    differentiable = False

    def __init__(self, encoder: OnnxHalf, decoder: OnnxHalf, geometry: Geometry, pixels: PixelRange) -> None:
        super().__init__(encoder, decoder, geometry, pixels)

    def run_encoder(self, image: Tensor, image_last: bool) -> Tensor:
        """Return the latent in the graph's layout, of images `[N, C, H, W]` in 0..1."""
        pixels = RANGES["bytes"] if self.encoder.takes[0] == UINT8 else self.pixels
        value = pixels.to_network(image)
        latent: Tensor = self.encoder(value.permute(0, 2, 3, 1) if image_last else value)
        return latent

    def encoder_hash(self) -> str:
        """Return the SHA-256 (hex) of the encoder's operators and weights, pixels and geometry."""
        return self._with_geometry(hashlib.sha256(canonical_json(self.encoder.content())))

    def graphs(self) -> dict[str, onnx_ir.Model]:
        """Return role -> canonical graph."""
        return {
            "encoder": encoder_graph(self.encoder, self.config, self.pixels),
            "decoder": decoder_graph(self.decoder, self.config, self.pixels),
        }
