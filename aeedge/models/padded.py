"""Convolutions that see the border's values repeated outside of the image, not zeros.

Behind zeros, every layer near the border sees an edge that the image does not have: a solid color comes back wrong.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Padding = Literal["zeros", "replicate"]
"""Names of torch's padding modes that this package offers."""


class PaddedConv2d(nn.Conv2d):
    """A `Conv2d` whose padding "replicate" also compiles in channels-last order."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name that torch gives it
        """Pad, then convolve without padding."""
        if self.padding_mode == "zeros":
            return super().forward(input)
        rows, columns = (int(size) for size in self.padding)
        return functional.conv2d(replicate(input, rows, columns), self.weight, self.bias, self.stride)


def replicate(value: Tensor, rows: int, columns: int) -> Tensor:
    """Repeat the border `rows` times above and below and `columns` times on either side: `[N, C, H, W]` to the same."""
    if torch.compiler.is_exporting() or not torch.compiler.is_compiling():
        return functional.pad(value, (columns, columns, rows, rows), mode="replicate")
    # torch 2.14 expects another memory order of the gradient of that operator than it gets in channels-last order
    tall = torch.cat([value[:, :, :1]] * rows + [value] + [value[:, :, -1:]] * rows, dim=2)
    return torch.cat([tall[..., :1]] * columns + [tall] + [tall[..., -1:]] * columns, dim=3)
