"""Times the same model in PyTorch, eager or compiled; imported only for `--against torch`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from aeedge.benchmark.case import Case
from aeedge.benchmark.engines.base import WrongResultError, check_pixels
from aeedge.benchmark.inputs import Item
from aeedge.models import build_model
from aeedge.models.base import Autoencoder, join_latents, join_patches, split_latents, split_patches
from aeedge.presets import find_preset
from aeedge.training.initial import pretrained_weights
from aeedge.training.run.checkpoint import load_weights
from aeedge.training.run.folder import load_run
from aeedge_runtime.profiling import stage

LATENT_TOLERANCE = 1e-2
"""Largest difference from the bundle's latents, relative to the largest latent."""


class TorchEngine:
    """Encoder or decoder of a run, with the same work around it as in the graphs; see Engine.

    Args:
        case: what is timed.
        source: the run folder that the bundle was exported from, or the name of a preset whose weights ship.
    """

    def __init__(self, case: Case, source: Path | str) -> None:
        self.case = case
        self._source = source
        self._items: list[Item] = []
        self._inputs: list[Any] = []

    def load(self) -> None:
        """Load the run's weights; with torch-compile, wrap them (the first run compiles)."""
        torch.set_num_threads(self.case.threads)
        model = load_run(self._source).model if isinstance(self._source, Path) else shipped_model(self._source)
        self.model = model.to(self.case.device).eval()
        network = self.model.encode if self.case.operation == "encode" else self.model.decode
        compiled = self.case.engine == "torch-compile"
        self._network: Any = torch.compile(network, dynamic=False) if compiled else network

    def prepare(self, items: list[Item]) -> None:
        """Read images or latents."""
        self._items = items
        encode = self.case.operation == "encode"
        self._inputs = [item.pixels() if encode else item.latents() for item in items]

    @torch.inference_mode()
    def run(self, number: int) -> Any:
        """Return latents, float32 [N, c, h, w], or images, uint8 [N, H, W, C]; see Engine."""
        return (self._encode if self.case.operation == "encode" else self._decode)(self._inputs[number])

    def verify(self, number: int, result: Any) -> Mapping[str, Any]:
        """Compare with the bundle's latents, or with what the bundle's decoder makes of them; see Engine."""
        expected: Any = self._items[number].latents()
        if self.case.operation == "decode":
            check_pixels(result, self._items[number].restored())
            return {}
        if result.shape != expected.shape:
            raise WrongResultError(f"the run's latents are {result.shape}, the bundle's {expected.shape}")
        difference = float(np.abs(result - expected).max())
        if not difference <= LATENT_TOLERANCE * float(np.abs(expected).max()):
            raise WrongResultError(
                f"the run's latents differ by {difference:.3g} from the bundle's; name the run it was exported from"
            )
        return {}

    def providers(self) -> Mapping[str, str]:
        """Return PyTorch's version and device."""
        return {"network": f"torch {torch.__version__} {self.case.device}"}

    def _encode(self, pixels: Any) -> Any:
        with stage("to_tensor"):
            rows, columns = self._padding()
            image = torch.from_numpy(pixels).to(self.case.device).permute(0, 3, 1, 2)
            image = image.to(torch.float32, memory_format=torch.contiguous_format).div_(255)
            if rows or columns:
                image = functional.pad(image, (0, columns, 0, rows), mode="replicate")
            if self.model.patched:
                image = split_patches(image, self.model.stride)
        with stage("encoder_graph"):
            latent = self._network(image)
            self._synchronize()
        with stage("to_tensor"):
            if self.model.patched:
                latent = join_latents(latent.flatten(1), self.case.batch, self._grid()).contiguous()
            return latent.cpu().numpy()

    def _decode(self, latents: Any) -> Any:
        with stage("to_image"):
            latent = torch.from_numpy(latents).to(self.case.device)
            if self.model.patched:
                latent = split_latents(latent)[:, :, None, None]
        with stage("decoder_graph"):
            image = self._network(latent)
            self._synchronize()
        with stage("to_image"):
            image = image.clamp(0, 1).mul_(255).round_().to(torch.uint8)
            if self.model.patched:
                image = join_patches(image, self._grid())
            image = image[:, :, : self.case.height, : self.case.width]
            return image.permute(0, 2, 3, 1).contiguous().cpu().numpy()

    def _grid(self) -> tuple[int, int]:
        sh, sw = self.model.stride
        return -(-self.case.height // sh), -(-self.case.width // sw)

    def _padding(self) -> tuple[int, int]:
        (h, w), (sh, sw) = self._grid(), self.model.stride
        return h * sh - self.case.height, w * sw - self.case.width

    def _synchronize(self) -> None:
        if self.case.device.startswith("cuda"):
            torch.cuda.synchronize()


def shipped_model(preset: str) -> Autoencoder:
    """Return the model of a preset with the weights that ship with the package."""
    model = build_model(find_preset(preset).config().model)
    load_weights(model, pretrained_weights(preset), Path(preset))
    return model
