"""The factorized prior: one table per channel and quality."""

from __future__ import annotations

import numpy as np

from ..arrays import Floats
from ..bundle.quantizer import by_channel, to_steps
from ..bundle.tables import EntropyTables
from ..errors import BundleError
from ..stream.layout import Span
from .checkerboard import Squares
from .passes import DecodedPass, SymbolRequest, Walk


class FactorizedPrior:
    """One table per channel and quality; one pass per chunk."""

    def __init__(self, tables: EntropyTables) -> None:
        if tables.table_index is None:
            raise BundleError("entropy.npz: no table_index for a factorized prior; export the bundle again")
        self._tables = tables
        self._index = tables.table_index

    def walk(self, quality: int, span: Span, width: int, latent: Floats | None) -> Walk:
        """Visit the passes of a chunk; see Prior."""
        shape = (span.images, self._index.shape[1], span.rows, width)
        index = np.ascontiguousarray(np.broadcast_to(by_channel(self._index[quality - 1]), shape))
        wanted = None
        if latent is not None:
            steps, offsets = by_channel(self._tables.steps[quality - 1]), by_channel(self._tables.offsets)
            wanted = to_steps(latent, steps, offsets).ravel()
        symbols = yield SymbolRequest(index.ravel(), wanted, last=True)
        return [DecodedPass(slice(None), Squares(span.rows, width, None), symbols.reshape(shape), None)]

    def walk_first_group(self, quality: int, span: Span, width: int) -> Walk:
        """Visit the one pass; see Prior."""
        return self.walk(quality, span, width, None)
