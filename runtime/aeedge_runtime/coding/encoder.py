"""Images to a stream in the way that costs least: by the network, with some tiles stored losslessly, or all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..arrays import Pixels
from ..bundle.bundle import Bundle
from ..fidelity.lossless import encode_blob
from ..fidelity.tile_choice import Candidates, find_candidates, least_bytes
from ..fidelity.tile_fill import fill_tiles
from ..images.picture import to_gray
from ..profiling import advance, expect
from ..stream.container import ALPHA, TILES, Stream, write_stream
from ..stream.tile_grid import Map, TileGrid
from ..stream.tile_sections import TileBlobs, pack_tiles
from .blocks import BlockLatents
from .chunk_io import write_chunks
from .networks import Networks

SMALLEST_WORTH, LARGEST_WORTH, LARGEST_QUALITY = 0.0013, 0.12, 80
"""Bits per pixel that a squared error of 1 is worth at quality 1 and at quality 80, as the hyperprior is trained."""

SAVED_SHARE = 0.55
"""Share of a quick try's bytes that the smallest lossless blob takes at least."""

Error = Callable[[bytes], float]
"""From a stream to the squared error of its images, summed over pixels, mean over channels."""


def worth(quality: int) -> float:
    """Return the bits that one pixel's squared error of 1, mean over channels, is worth at a quality."""
    ratio = LARGEST_WORTH / SMALLEST_WORTH
    return float(SMALLEST_WORTH * ratio ** ((quality - 1) / (LARGEST_QUALITY - 1)))


@dataclass(frozen=True)
class _Coded:
    """A stream, and whether its images come back exactly."""

    data: bytes
    exact: bool = False


@dataclass(frozen=True, eq=False)
class _Some:
    """Some tiles, and the latents of the images without them."""

    tiles: TileBlobs
    latents: BlockLatents


def _as_returned(pixels: Pixels, gray: bool) -> Pixels:
    """Return the target of a decode, uint8 [N, H, W, C]: the luma of gray images."""
    if gray and pixels.strides[3] == 0:  # gray repeated
        return pixels[..., :1]
    return to_gray(pixels) if gray else pixels


class Encoder:
    """Codes images of one size at any quality; what does not depend on the quality is made once.

    Args:
        bundle: the model.
        networks: its graphs.
        pixels: uint8 [N, H, W, C], C as the model takes it.
        alpha: uint8 [N, H, W], or None.
        gray: whether the images are gray.
        sections: of every stream, but for alpha.
        stored_tiles: whether tiles may be stored.
        error: measures a stream; None where only the number of bytes counts.

    Attributes:
        original: the images as they are to come back, uint8 [N, H, W, 1 or C].
        grid: their tiles.
    """

    def __init__(
        self,
        bundle: Bundle,
        networks: Networks,
        pixels: Pixels,
        alpha: Pixels | None,
        gray: bool,
        sections: Mapping[int, bytes],
        *,
        stored_tiles: bool,
        error: Error | None,
    ) -> None:
        self._bundle, self._networks = bundle, networks
        self._pixels, self._alpha, self._gray, self._sections = pixels, alpha, gray, sections
        self._stored_tiles, self._error = stored_tiles, error
        self.grid = TileGrid(*pixels.shape[:3])
        self.original = _as_returned(pixels, gray)
        self._tall = self.original.reshape(-1, *self.original.shape[2:])
        self._found: Candidates | None = None
        self._some: _Some | None = None
        self._all: TileBlobs | None = None
        self._quick_bytes: int | None = None
        self._errors: dict[bytes, float] = {}
        self._latents = BlockLatents(bundle, networks, pixels)
        self._workers = networks.workers(self._latents.plan)
        self._prior = networks.prior(compress=True, workers=self._workers)

    def code(self, quality: int, most_bytes: int | None = None) -> bytes:
        """Return the stream that costs least at a quality: bytes plus the worth of its error.

        Args:
            quality: 1..100.
            most_bytes: streams of more bytes are taken only if all are.
        """
        learned = self._learned(quality)
        ways = [_Coded(write_stream(learned))]
        if self._stored_tiles:
            ways += self._with_tiles(quality, ways[0], sum(map(len, learned.chunks)))
        fitting = [way for way in ways if most_bytes is None or len(way.data) <= most_bytes]
        return self._cheapest(fitting or ways, quality).data

    def base(self, quality: int) -> Stream:
        """Return the stream of the network with the candidate tiles, if there are any, stored."""
        if self._candidates().tiles.all() or not self._candidates().tiles.any():
            return self._learned(quality)
        return self._with_some(quality, self._candidates().tiles)

    def whole(self, quality: int) -> Stream:
        """Return the stream of which every tile is stored."""
        if self._all is None:
            self._all = self._store_all(self.original)
        return self._without_symbols(quality, self._all)

    def whole_of(self, quality: int, images: Pixels) -> Stream:
        """Return the stream of which every tile is stored, of other images of the same shape."""
        return self._without_symbols(quality, self._store_all(images))

    def store(self, held: Map, planes: Pixels, *, png: bool = False, quick: bool = False) -> TileBlobs:
        """Return tiles with the blobs of planes.

        Args:
            held: bool [tile rows of all images, tile columns].
            planes: uint8 [N * H, W, C]; what is not held is made black.
            png: as in `encode_blob`.
            quick: as in `encode_blob`.
        """
        blobs = []
        boxes = list(self.grid.boxes(held))
        expect(len(boxes))
        for box in boxes:
            place = self.grid.pixels(box)
            part = planes[place.top : place.bottom, place.left : place.right]
            mask = self.grid.spread(held, box)
            part = part if mask is None else np.where(mask[..., None], part, np.uint8(0))
            blobs.append(encode_blob(part, png=png, quick=quick))
            advance(1)
        return TileBlobs(self.grid, held, tuple(blobs), alpha=planes.shape[2] in (2, 4))

    def _with_tiles(self, quality: int, learned: _Coded, payload_bytes: int) -> list[_Coded]:
        surely_less = payload_bytes <= least_bytes(self._tall)
        if self.grid.rows == self.grid.columns == 1 and self._error is None and surely_less:
            return []  # a batch of small images of which none would gain: looking at each takes longer than coding
        candidates = self._candidates()
        found = []
        if candidates.tiles.any() and not candidates.tiles.all():
            found.append(_Coded(write_stream(self._with_some(quality, candidates.tiles))))
        if (candidates.whole or not surely_less) and self._may_pay(quality, learned):
            found.append(_Coded(write_stream(self.whole(quality)), exact=True))
        return found

    def _may_pay(self, quality: int, learned: _Coded) -> bool:
        """Whether storing all tiles can cost less than the network does, by what a quick try takes."""
        if self._all is None and self._quick_bytes is None:
            self._quick_bytes = self._store_all(self.original, quick=True).blob_bytes
        if self._all is not None or self._quick_bytes is None:
            return True
        least = SAVED_SHARE * self._quick_bytes
        return least < len(learned.data) or (self._error is not None and 8 * least < self._cost(learned, quality))

    def _cost(self, way: _Coded, quality: int) -> float:
        """Bits, and what the error is worth in bits."""
        if way.exact or self._error is None:
            return 8 * len(way.data)
        if way.data not in self._errors:
            self._errors = {way.data: self._error(way.data)} | dict(list(self._errors.items())[:1])
        return 8 * len(way.data) + worth(quality) * self._errors[way.data]

    def _candidates(self) -> Candidates:
        if self._found is None:
            self._found = find_candidates(self.original)
        return self._found

    def _cheapest(self, ways: list[_Coded], quality: int) -> _Coded:
        if self._error is None:
            return min(ways, key=lambda way: len(way.data))
        # Each way is nearer to the original than those before it: one that takes more bytes than a later one is out.
        worthy = [
            way for place, way in enumerate(ways) if all(len(way.data) < len(other.data) for other in ways[place + 1 :])
        ]
        if len(worthy) == 1:
            return worthy[0]
        return min(worthy, key=lambda way: self._cost(way, quality))

    def _learned(self, quality: int) -> Stream:
        return self._coded(quality, self._latents, self._sections)

    def _with_some(self, quality: int, held: Map) -> Stream:
        if self._some is None:
            latents = BlockLatents(self._bundle, self._networks, fill_tiles(self._pixels, held))
            self._some = _Some(self.store(held, self._tall), latents)
        tiles = self._some.tiles
        stream = self._coded(quality, self._some.latents, {**self._sections, TILES: pack_tiles(tiles)})
        return replace(stream, tiles=tiles)

    def _store_all(self, images: Pixels, *, quick: bool = False) -> TileBlobs:
        planes = images.reshape(self._tall.shape)
        if self._alpha is not None:
            planes = np.concatenate([planes, self._alpha.reshape(*planes.shape[:2], 1)], axis=2)
        every = np.ones(self.grid.shape, np.bool_)
        return self.store(every, planes, png=not quick and not self._candidates().tiles.any(), quick=quick)

    def _without_symbols(self, quality: int, tiles: TileBlobs) -> Stream:
        sections = {key: data for key, data in self._sections.items() if key != ALPHA}
        return replace(self._empty(quality), sections={**sections, TILES: pack_tiles(tiles)}, tiles=tiles)

    def _coded(self, quality: int, latents: BlockLatents, sections: Mapping[int, bytes]) -> Stream:
        expect(2 * sum(len(block.spans) for block in latents.plan))
        chunks, symbol_hash = write_chunks(latents, quality, self._bundle, self._prior, self._workers)
        return replace(self._empty(quality), chunks=chunks, symbol_hash=symbol_hash, sections=sections)

    def _empty(self, quality: int) -> Stream:
        count, height, width, _ = self._pixels.shape
        return Stream(self._bundle.stream_id, quality, count, width, height, self._gray, (b"",), 0)
