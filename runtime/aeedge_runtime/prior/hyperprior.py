"""The hyperprior: tables and means that graphs predict from side information and from earlier passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Floats
from ..bundle.manifest import PriorFacts
from ..bundle.quantizer import by_channel
from ..bundle.tables import SCALES, EntropyTables
from ..errors import BundleError
from ..limits import MAX_HYPER_SYMBOL
from ..profiling import stage
from ..stream.layout import Span
from .checkerboard import Squares
from .passes import DecodedPass, Graph, Passes, SymbolRequest, Walk, check_output


class HyperPrior:
    """Tables and means per element, from hyper symbols and from the symbols of earlier passes.

    Args:
        tables: tables and steps.
        facts: the manifest's prior section.
        graphs: one for each pass, named by `facts.graphs`, or those of the first group alone; on the CPU, because table
            indices must be exact.
        hyper_encoder: graph from latents in steps to hyper-latents; None for decompressing only.
    """

    def __init__(
        self, tables: EntropyTables, facts: PriorFacts, graphs: Sequence[Graph], hyper_encoder: Graph | None
    ) -> None:
        if tables.hyper_table_index is None or tables.scale_tables is None:
            raise BundleError("entropy.npz: no tables for a hyperprior; export the bundle again")
        self._tables = tables
        self._facts = facts
        self._graphs = dict(zip(facts.graphs, graphs, strict=False))
        self._hyper_encoder = hyper_encoder
        self._hyper_index = tables.hyper_table_index
        self._scale_tables = tables.scale_tables.tobytes().ljust(256, b"\0")  # translate() is twice as fast as take()

    def walk(self, quality: int, span: Span, width: int, latent: Floats | None) -> Walk:
        """Visit the passes of a chunk; see Prior."""
        target = None if latent is None else latent / by_channel(self._tables.steps[quality - 1])
        hyper = yield from self._hyper_symbols(quality, span, width, target)
        coded, features = yield from self._first_group(hyper, span, width, target)
        later = self._facts.pass_channels()[self._facts.passes :]
        if not later:
            return coded
        whole = Squares(span.rows, width, None)
        symbols = whole.empty(span.images, later[-1].start)
        values = np.empty_like(symbols)
        for part in coded:
            part.put(symbols, values)
        for number, channels in enumerate(later, 1):
            seen = slice(channels.start)
            feeds = {**features, "known_symbols": symbols[:, seen], "known_latent": values[:, seen]}
            shape = (span.images, channels.stop - channels.start, span.rows, width)
            index, mean = self._predict(f"group_{number}", feeds, shape)
            last = number == len(later)
            coded.append((yield from self._code(channels, whole, index, mean, target, last=last)))
            if not last:
                coded[-1].put(symbols, values)
        return coded

    def walk_first_group(self, quality: int, span: Span, width: int) -> Walk:
        """Visit the passes of the first group; see Prior."""
        hyper = yield from self._hyper_symbols(quality, span, width, None)
        return (yield from self._first_group(hyper, span, width, None))[0]

    def _first_group(
        self, hyper: Floats, span: Span, width: int, target: Floats | None
    ) -> Passes[tuple[list[DecodedPass], dict[str, Floats]]]:
        """Code the first group, in one pass or two; also return the features of the first pass's graph."""
        two, channels, parity = self._facts.passes == 2, self._facts.pass_channels()[0], span.first_row % 2
        last = len(self._facts.groups) == 1
        size = (span.images, channels.stop)
        squares = Squares(span.rows, width, parity if two else None)
        inside = np.ones((span.images, 1, span.rows, width), np.float32)
        feeds: dict[str, Any] = {"hyper_symbols": hyper, "inside": inside}
        index, mean, *more = self._predict_squares("prior", squares, feeds, size)
        features = dict(zip(("scale_features", "mean_features"), more, strict=True))
        coded = [(yield from self._code(channels, squares, index, mean, target, last=last and not two))]
        if two:
            symbols = coded[0].symbols.astype(np.float32)
            feeds = {**features, "place": squares.ranks()}
            feeds |= {"known_symbols": symbols, "known_latent": symbols + mean}
            others = Squares(span.rows, width, 1 - parity)
            index, mean = self._predict_squares("context", others, feeds, size)
            coded.append((yield from self._code(channels, others, index, mean, target, last=last)))
        return coded, features

    def _predict_squares(
        self, role: str, squares: Squares, feeds: dict[str, Any], size: tuple[int, int]
    ) -> list[NDArray[Any]]:
        """Run `_predict` for some squares: table index and mean are `[n, c, 1, P]`, with `size` for n and c."""
        positions = squares.positions()
        if not len(positions) and role != "prior":
            return [np.empty((*size, 1, 0), np.uint8), np.empty((*size, 1, 0), np.float32)]
        squares_fed = positions if len(positions) else np.zeros(1, np.int64)  # a convolution refuses an empty input
        outputs = self._predict(role, {**feeds, "squares": squares_fed}, (*size, 1, len(squares_fed)))
        return [values[..., : len(positions)] for values in outputs[:2]] + outputs[2:]

    def _predict(self, role: str, feeds: dict[str, Any], shape: tuple[int, ...]) -> list[NDArray[Any]]:
        """Return the checked outputs of one pass's graph: table index and mean, and features of the first pass."""
        name, expected = f"{role}.onnx", 4 if role == "prior" else 2
        feeds = {key: np.ascontiguousarray(value) for key, value in feeds.items()}
        with stage("prior_graph"):
            outputs = self._graphs[role].run(feeds)
        if len(outputs) != expected:
            raise BundleError(f"{name} returned {len(outputs)} outputs, expected {expected}; export the bundle again")
        check_output(name, outputs[0], shape, np.uint8)
        check_output(name, outputs[1], shape, np.float32)
        if outputs[0].max(initial=0) >= SCALES:
            raise BundleError(f"{name} returned table index {outputs[0].max()}, expected at most {SCALES - 1}")
        return outputs

    def _hyper_symbols(self, quality: int, span: Span, width: int, target: Floats | None) -> Passes[Floats]:
        stride, channels = self._facts.stride, self._facts.channels
        shape = (span.images, channels, -(-span.rows // stride), -(-width // stride))
        index = np.ascontiguousarray(np.broadcast_to(by_channel(self._hyper_index[quality - 1]), shape))
        wanted = None
        if target is not None:
            if self._hyper_encoder is None:
                raise BundleError("hyper_encoder.onnx is needed to compress")
            with stage("hyper_encoder_graph"):
                wanted = self._hyper_encoder.run({"latent_steps": target})[0]
            check_output("hyper_encoder.onnx", wanted, shape, np.float32)
            wanted = np.clip(wanted, -MAX_HYPER_SYMBOL, MAX_HYPER_SYMBOL).ravel()
        found = (yield SymbolRequest(index.ravel(), wanted, last=False)).astype(np.float32).reshape(shape)
        return np.clip(found, -MAX_HYPER_SYMBOL, MAX_HYPER_SYMBOL, out=found)  # a forged stream may hold larger ones

    def _code(
        self,
        channels: slice,
        squares: Squares,
        index: NDArray[np.uint8],
        mean: Floats,
        target: Floats | None,
        *,
        last: bool,
    ) -> Passes[DecodedPass]:
        """Code some channels on some squares, given the table index and mean of each element."""
        tables = np.frombuffer(bytearray(index.ravel()).translate(self._scale_tables), np.uint8)
        wanted = None
        if target is not None:
            wanted = squares.take(target[:, channels])
            wanted -= mean.reshape(wanted.shape)
            wanted = wanted.ravel()
        symbols = yield SymbolRequest(tables, wanted, last)
        return DecodedPass(channels, squares, symbols.reshape(mean.shape), mean)
