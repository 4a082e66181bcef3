"""Images of one stream by index, as a data loader reads them."""

from __future__ import annotations

from ..arrays import Pixels
from ..gate import Gate
from ..stream.container import Stream
from .decoder import Decoder


class StreamReader:
    """One stream, checked once, whose images are decoded by index. Threads may share it.

    What the last image needed is kept (the latents of its chunk, its stored tiles and alpha), some tens of megabytes at
    most: the next image of the same chunk takes no more than the network.

    Args:
        stream: the stream.
        decoder: of its bundle.
        gate: admits calls.

    Attributes:
        count: images.
        height: rows of each in pixels.
        width: columns of each in pixels.
    """

    def __init__(self, stream: Stream, decoder: Decoder, gate: Gate) -> None:
        self.count, self.height, self.width = stream.count, stream.height, stream.width
        self._stream, self._decoder, self._gate = stream, decoder.remembering(), gate

    def decompress(
        self,
        index: int | None = None,
        *,
        rows: tuple[int, int] | None = None,
        channels: int | None = None,
        out: Pixels | None = None,
    ) -> Pixels:
        """Decompress an image, or rows of it, uint8 [H, W, C]; arguments and errors as in `Codec.decompress`."""
        with self._gate:
            return self._decoder.image_rows(self._stream, index, rows, channels, out)
