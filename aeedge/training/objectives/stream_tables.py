"""Quantizes latents with the tables of a bundle, for training a decoder on that bundle's streams."""

import numpy as np
import torch
from torch import Tensor, nn

from aeedge_runtime.bundle.tables import read_arrays
from aeedge_runtime.entropy.bank import CERTAIN
from aeedge_runtime.errors import ArgumentError
from aeedge_runtime.limits import MAX_SYMBOL


class StreamTables(nn.Module):
    """Rounds latents at a quality and dequantizes them, as streams of a factorized prior do (runtime/FORMAT.md).

    The values are fixed: nothing here is trained, and nothing goes into a checkpoint.

    Args:
        data: a bundle's `entropy.npz`.
        channels: latent channels of the model.

    Raises:
        ArgumentError: the tables are of another number of channels.
        BundleError: the data is damaged.
    """

    steps: Tensor
    offsets: Tensor
    shrink: Tensor
    coded: Tensor

    def __init__(self, data: bytes, channels: int) -> None:
        super().__init__()
        arrays = read_arrays(data)
        if "table_index" not in arrays:
            raise ArgumentError("the tables are of a hyperprior, expected those of a factorized prior")
        found = arrays["steps"].shape[1]
        if found != channels:
            raise ArgumentError(
                f"the tables are of {found} latent channels, the model has {channels}; use the tables of its own bundle"
            )
        coded = arrays["bank_kind"][arrays["table_index"].astype(np.int64)] != CERTAIN
        values = {"steps": arrays["steps"], "offsets": arrays["offsets"], "shrink": arrays["shrink"], "coded": coded}
        for name, value in values.items():
            tensor = torch.from_numpy(value.astype(np.float32))
            self.register_buffer(name, tensor, persistent=False)

    @property
    def qualities(self) -> int:
        """How many there are."""
        return len(self.steps)

    def forward(self, latent: Tensor, row: Tensor) -> Tensor:
        """Return what a decoder gets of latents.

        Args:
            latent: float32 [N, c, h, w].
            row: quality - 1 of each image, integers [N].

        Returns:
            [N, c, h, w].
        """
        step, shrink, coded = (values[row][:, :, None, None] for values in (self.steps, self.shrink, self.coded))
        offset = self.offsets[:, None, None]
        symbol = torch.round((latent - offset) / step).clamp(-MAX_SYMBOL, MAX_SYMBOL) * coded
        return offset + (symbol - shrink * symbol.sign()) * step
