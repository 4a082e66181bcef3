"""Metrics of a validation by torchmetrics: loss parts, squared error, PSNR, MS-SSIM; summed over processes."""

import warnings
from collections.abc import Mapping

import torch
from torch import Tensor

MS_SSIM_SIDE = 176
"""Rows and columns from which five scales of an 11-pixel window fit."""


class ValidationMetrics:
    """Collects the batches of one validation.

    Args:
        device: where the sums are kept.
        size: rows and columns of the images; MS-SSIM is left out below 176.
    """

    def __init__(self, device: torch.device, size: tuple[int, int]) -> None:
        with warnings.catch_warnings():  # torchmetrics announces memory use and imports of its own
            warnings.simplefilter("ignore")
            from torchmetrics import MeanMetric
            from torchmetrics.image import MultiScaleStructuralSimilarityIndexMeasure, PeakSignalNoiseRatio

            self._mean = MeanMetric
            self._psnr = PeakSignalNoiseRatio(data_range=1.0).to(device)
            self._similarity = None
            if min(size) >= MS_SSIM_SIDE:
                self._similarity = MultiScaleStructuralSimilarityIndexMeasure(data_range=1.0).to(device)
        self._error = MeanMetric().to(device)
        self._parts: dict[str, MeanMetric] = {}
        self._device = device

    def update(self, parts: Mapping[str, Tensor], image: Tensor, target: Tensor) -> None:
        """Add a batch: its objective's parts, what came out [N, C, H, W] and what should have."""
        shown = image.float().clamp(0, 1)
        for name, value in parts.items():
            if name not in self._parts:
                self._parts[name] = self._mean().to(self._device)
            self._parts[name].update(value.float(), weight=len(target))
        self._error.update((shown - target).square().flatten(1).mean(1))
        self._psnr.update(shown, target)
        if self._similarity is not None:
            self._similarity.update(shown, target)

    def compute(self) -> dict[str, float]:
        """Return the means over everything collected by all processes.

        Returns:
            The objective's parts; `mse` of the shown image (clamped to 0..1, no rounding, latent not quantized);
            `psnr_db` of the pooled squared error; `ms_ssim` where it exists.
        """
        values = {name: float(metric.compute()) for name, metric in self._parts.items()}
        values["mse"] = float(self._error.compute())
        values["psnr_db"] = float(self._psnr.compute())
        if self._similarity is not None:
            values["ms_ssim"] = float(self._similarity.compute())
        return values
