"""Traces of coding: tables, symbols and latents behind a stream, with a bundle's graphs or others in their place.

An export compares its model with a bundle through this module alone; compressing and decompressing do not need it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ..arrays import Floats, Pixels, Symbols
from ..bundle.bundle import Bundle
from ..bundle.tables import EntropyTables
from ..entropy.chunk import Pass
from ..inference.session import SessionOptions
from ..prior.factorized import FactorizedPrior
from ..prior.hyperprior import HyperPrior
from ..prior.passes import Graph, Prior, SymbolRequest, SymbolWriter, decode_passes
from ..stream.layout import chunk_spans
from .networks import Networks

HYPER_ENCODER = "hyper_encoder"
"""Role of the graph that makes the side information."""


@dataclass(frozen=True)
class Trace:
    """One coding of latents.

    Attributes:
        passes: table and symbol of every element, one entry per pass, in coding order.
        latents: what a decoder is given, float32 [N, c, h, w].
    """

    passes: list[Pass]
    latents: Floats
    _writers: list[SymbolWriter]

    def payload_bytes(self) -> int:
        """Return the size of all chunks."""
        return sum(len(writer.payload()) for writer in self._writers)


class Tracer:
    """Codes latents step by step.

    Args:
        bundle: with both halves.
        options: device and threads.

    Attributes:
        graphs: graphs of the prior and the hyper-encoder by role; empty for a factorized prior.
    """

    def __init__(self, bundle: Bundle, options: SessionOptions) -> None:
        self._bundle, self._tables, self._networks = bundle, bundle.tables, Networks(bundle, options)
        facts = bundle.manifest.prior
        roles = () if facts.kind == "factorized" else (*facts.graphs, HYPER_ENCODER)
        self.graphs: Mapping[str, Graph] = {role: self._networks.session(role) for role in roles}

    def encode(self, images: Pixels) -> Floats:
        """Return the latents, float32 [N, c, h, w], of images of one size, uint8 [N, H, W, C]."""
        return self._networks.encode(images)

    def decode(self, latents: Floats, height: int, width: int) -> Pixels:
        """Return the images, uint8 [N, height, width, C], of latents, float32 [N, c, h, w]."""
        return self._networks.decode(latents, height, width)

    def code(
        self, latents: Floats, quality: int, graphs: Mapping[str, Graph] | None = None, follow: Trace | None = None
    ) -> Trace:
        """Code latents as a stream does.

        Args:
            latents: float32 [N, c, h, w].
            quality: 1..100.
            graphs: graphs to use in place of the bundle's, by the same roles.
            follow: a trace whose symbols every pass continues with, so that a difference counts once; the symbols
                returned are still the ones that these latents give.
        """
        prior = self._prior(self.graphs if graphs is None else graphs)
        passes: list[Pass] = []
        restored, writers = np.empty_like(latents), []
        for span in chunk_spans(self._bundle.geometry, *(latents.shape[axis] for axis in (0, 2, 3))):
            place = (
                slice(span.first_image, span.first_image + span.images),
                slice(None),
                slice(span.first_row, span.first_row + span.rows),
            )
            writer = SymbolWriter(self._tables)
            if follow is not None:
                writer = _Follower(self._tables, iter(follow.passes[len(passes) :]))
            coded = writer.run(prior.walk(quality, span, latents.shape[3], latents[place]))
            decode_passes(self._tables, quality, coded, restored[place])
            passes += writer.passes
            writers.append(writer)
        return Trace(passes, restored, writers)

    def _prior(self, graphs: Mapping[str, Graph]) -> Prior:
        facts = self._bundle.manifest.prior
        if facts.kind == "factorized":
            return FactorizedPrior(self._tables)
        return HyperPrior(self._tables, facts, [graphs[role] for role in facts.graphs], graphs[HYPER_ENCODER])


class _Follower(SymbolWriter):
    """Keeps its own symbols and continues with those of another trace."""

    def __init__(self, tables: EntropyTables, reference: Iterator[Pass]) -> None:
        super().__init__(tables)
        self._reference = reference

    def code(self, request: SymbolRequest) -> Symbols:
        """Return the other trace's symbols of this pass."""
        super().code(request)
        return next(self._reference)[1]
