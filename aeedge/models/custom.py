"""A network of the user's own in a run: what the run's config says of it, and how it is built again.

A run holds no code that anything executes. Whoever uses a run of an own network names the network's file again.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from aeedge.configuration import Configuration
from aeedge.models.base import Autoencoder, require_channels
from aeedge_runtime.errors import ArgumentError


class OwnNetwork(Protocol):
    """A network that the command at hand names, and that it may therefore run."""

    def __call__(self) -> Autoencoder:
        """Build the network; initial weights come from torch's global generator."""

    def code(self) -> str:
        """Return the text of its file."""


@dataclass(frozen=True)
class CustomConfig(Configuration):
    """Facts of an own network, and the options that it was adapted with.

    Attributes:
        family: "custom".
        source: its file and name, for people; nothing loads it.
        sha256: hash of the file when training began, for people.
        channels: image channels, 1 or 3.
        stride: rows and columns of pixels per latent position.
        latent_channels: channels of the latent.
        patch: rows and columns of a patch; null where the network is convolutional.
        pixels: pixel range, as for `aeedge_export.adapt`; so are the following.
        encode: name of the encoding half.
        decode: name of the decoding half.
        latent: output of the encoder.
        output: output of the decoder.
        size: the only size that the network takes.
        tile: size of independent tiles.
        whole: most pixels of an image that is never tiled.
    """

    source: str
    sha256: str
    channels: int
    stride: tuple[int, int]
    latent_channels: int
    family: Literal["custom"] = "custom"
    patch: tuple[int, int] | None = None
    pixels: str = "unit"
    encode: str | None = None
    decode: str | None = None
    latent: str | None = None
    output: str | None = None
    size: tuple[int, int] | None = None
    tile: tuple[int, int] | None = None
    whole: int | None = None

    def __post_init__(self) -> None:
        """Check the channels.

        Raises:
            ArgumentError: neither gray nor color.
        """
        require_channels(self.channels, 1, 3)


def build_custom(config: CustomConfig, network: OwnNetwork | None) -> Autoencoder:
    """Return a freshly initialized own network.

    Raises:
        ArgumentError: the network is not named, or is another one than the run's.
    """
    if network is None:
        raise ArgumentError(
            f"the run is of a network of your own, {config.source}, and never loads code by itself; name the network: "
            "aeedge export RUN --model FILE.py:NAME, aeedge train FILE.py:NAME --resume"
        )
    model = network()
    found = model.channels, model.stride, model.latent_channels
    expected = config.channels, config.stride, config.latent_channels
    if found != expected:
        shown = "{} image channels, stride {}, {} latent channels"
        raise ArgumentError(
            f"the network has {shown.format(*found)}, the run was trained with {shown.format(*expected)}; name the "
            "network that it was trained with"
        )
    return model
