"""Refusals of a network whose geometry cannot be found: the failure that came furthest, and its remedy."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from torch import Tensor

from aeedge_export.errors import ExportError

LONGEST_REASON = 160
"""Characters of a network's own error that a message repeats."""

SKIPS = ("positional argument", "to unpack")
"""Parts of Python's errors when a decoder expects more than one tensor."""


OTHER_CHANNELS = re.compile(r"expected input.* to have (\d+) channels, but got [13] channels")
"""PyTorch's error where an encoder takes neither gray nor color images."""


class Stage(IntEnum):
    """How far an image came."""

    ENCODER = 0
    DECODER = 1
    SIZE = 2


@dataclass(frozen=True)
class Failure:
    """One size that does not work.

    Attributes:
        stage: how far it came.
        reason: what happened, in words.
    """

    stage: Stage
    reason: str


class DecoderError(Exception):
    """The decoder failed on a latent that the encoder made; the cause is its own error."""

    def __init__(self, latent: Tensor) -> None:
        super().__init__(f"it fails on the encoder's latent {list(latent.shape)}")


def one_line(error: BaseException) -> str:
    """Return the message of an error in one short line."""
    return " ".join(str(error).split())[:LONGEST_REASON] or type(error).__name__


def failure_of(error: Exception, image: Sequence[int]) -> Failure:
    """Return the failure that an error of a network stands for; `image` is the shape of the image."""
    shown = "x".join(map(str, image[1:]))
    if isinstance(error, DecoderError) and error.__cause__ is not None:
        return Failure(Stage.DECODER, f"image {shown}: {error}: {one_line(error.__cause__)}")
    return Failure(Stage.ENCODER, f"image {shown}: {one_line(error)}")


def refusal(failures: Sequence[Failure]) -> ExportError:
    """Return the error to raise if no size works: the first failure of those that came furthest, and what to change."""
    furthest = max(failures, key=lambda failure: failure.stage)
    channels = OTHER_CHANNELS.search(furthest.reason)
    if furthest.stage is Stage.ENCODER and channels:
        text = f"the encoder takes images with {channels[1]} channels; a bundle holds gray (1) or color (3)"
    elif furthest.stage is Stage.ENCODER:
        text = "the encoder fails on every image that was tried; declare the only size that it takes with size"
    elif furthest.stage is Stage.SIZE:
        text = (
            "images do not come back at their size; pad or crop in the network (output_padding=1), declare a size that "
            "comes back with size, or choose another output of the encoder with latent"
        )
    elif any(part in furthest.reason for part in SKIPS):
        text = "the decoder expects more than the latent (a skip around the bottleneck); it must depend on that alone"
    else:
        text = (
            "encoder and decoder do not fit together; choose the output of the encoder that the decoder takes with "
            "latent, or functions with encode and decode"
        )
    return ExportError(f"{text}. {furthest.reason}")
