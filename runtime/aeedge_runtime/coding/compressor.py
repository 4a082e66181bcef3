"""Images to a stream at a quality, to a target, or within a bound."""

from __future__ import annotations

from collections.abc import Sequence

from ..bundle.bundle import Bundle
from ..errors import ArgumentError
from ..fidelity.bounded import code_within
from ..images.batch import Stack
from ..images.psnr import psnr_db, squared_error
from ..rate_search import MaxBytes, MaxError, MinPsnr, Target, find_stream
from ..stream.layout import check_size
from ..stream.sections import pack_sections
from .decoder import Decoder
from .encoder import Encoder
from .networks import Networks


class Compressor:
    """Compresses images with one bundle; threads may share it.

    Args:
        bundle: the model.
        networks: its graphs.
        decoder: measures a stream.
        tf32: whether the networks round products, so that pixels differ by more than 1 between machines.
    """

    def __init__(self, bundle: Bundle, networks: Networks, decoder: Decoder, *, tf32: bool) -> None:
        self._bundle, self._networks, self._decoder = bundle, networks, decoder
        self._tf32 = tf32

    def compress(
        self,
        stack: Stack,
        rate: int | Target | MaxError,
        *,
        names: Sequence[str | bytes] | None,
        metadata: bool,
        stored_tiles: bool,
        limit: int,
    ) -> bytes:
        """Return the stream of images.

        Args:
            stack: the images.
            rate: quality, target or bound.
            names: one per image, or None.
            metadata: keep ICC profile and EXIF.
            stored_tiles: keep tiles losslessly where that pays.
            limit: most pixels, padding included.

        Raises:
            LimitError, ArgumentError, TargetNotReachedError, MissingHalfError: as `Codec.compress`.
        """
        if isinstance(rate, MinPsnr):
            self._bundle.require("decoder", "compress to a PSNR")
        count, height, width, _ = stack.pixels.shape
        check_size(self._bundle.geometry, count, height, width, limit)
        if isinstance(rate, MaxError) and not stored_tiles:
            raise ArgumentError("max_error cannot be combined with stored_tiles=False; leave one of them out")
        icc, exif = (stack.icc, stack.exif) if metadata else (None, None)
        sections = pack_sections(stack.alpha, icc, exif, names, count)
        gray = stack.gray or self._bundle.manifest.image.channels == 1

        def error(data: bytes) -> float:
            found = self._decoder.all(data, limit).pixels
            return squared_error(encoder.original, found) / int(found.shape[3])

        comparable = self._bundle.manifest.family == "hyperprior" and "decoder" in self._bundle.manifest.halves
        encoder = Encoder(
            self._bundle,
            self._networks,
            stack.pixels,
            stack.alpha,
            gray,
            sections,
            stored_tiles=stored_tiles,
            error=error if comparable else None,
        )
        if isinstance(rate, int):
            return encoder.code(rate)
        if isinstance(rate, MaxError):
            decode = (lambda data: self._decoder.all(data, limit).pixels) if self._is_steady else None
            return code_within(encoder, rate.limit, decode)
        most_bytes = rate.limit if isinstance(rate, MaxBytes) else None
        return find_stream(
            rate,
            lambda quality: encoder.code(quality, most_bytes),
            lambda data: psnr_db(encoder.original, self._decoder.all(data, limit).pixels),
            f"{width}x{height}" if count == 1 else f"{count} images of {width}x{height}",
        )

    @property
    def _is_steady(self) -> bool:
        """Whether decoded pixels differ by 1 at most from those of other machines."""
        manifest = self._bundle.manifest
        return "decoder" in manifest.halves and manifest.precision["decoder"] == "fp32" and not self._tf32
