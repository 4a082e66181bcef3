"""The parity gate: the bundle must compute what PyTorch computes, or it does not ship.

PyTorch and the runtime, at the optimisation level that ships, see the same real images at several sizes, odd ones
included, in batches of 1 and 3. There is no tolerance beside the limits of `checks.parity`. Symbols are compared
given the same past: PyTorch's walk continues with the runtime's symbols, so that one difference is counted once.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aeedge_export.checks.parity import (
    BYTES_SHARE,
    LATENT_LIMIT,
    PIXEL_LIMIT,
    PSNR_LIMIT_DB,
    SYMBOL_LIMIT,
    SYMBOL_SHARE,
    Check,
    Parity,
)
from aeedge_export.latents import Floats, torch_latents, torch_pixels
from aeedge_export.model import ExportableModel, hyper_encoder_of, prior_facts, prior_of
from aeedge_runtime import stream_info
from aeedge_runtime.bundle.tables import EntropyTables
from aeedge_runtime.codec import Codec
from aeedge_runtime.coding.networks import Networks
from aeedge_runtime.coding.prior import Asked, FactorizedPrior, Graph, HyperPrior, Prior, SymbolWriter, restore_latent
from aeedge_runtime.entropy.chunk import Pass
from aeedge_runtime.stream.layout import Geometry, Span, chunk_spans

QUALITIES = (100, 50, 1)
"""The finest steps are the hardest; the others show that tables and shrink go the same way."""


@dataclass
class Tally:
    """Running measurements of one gate; those per quality are keyed by it, pairs are the runtime's and PyTorch's."""

    latent: float = 0.0
    mean: float = 0.0
    hyper: float = 0.0
    indices: int = 0
    largest: int = 0
    pixels: int = 0
    differing: dict[int, int] = field(default_factory=lambda: dict.fromkeys(QUALITIES, 0))
    symbols: dict[int, int] = field(default_factory=lambda: dict.fromkeys(QUALITIES, 0))
    squared: dict[int, NDArray[np.float64]] = field(default_factory=lambda: {q: np.zeros(2) for q in QUALITIES})
    payload: dict[int, NDArray[np.float64]] = field(default_factory=lambda: {q: np.zeros(2) for q in QUALITIES})


class TorchHyperEncoder:
    """PyTorch's hyper-encoder, run like a session."""

    def __init__(self, model: ExportableModel) -> None:
        self._model = model

    @torch.no_grad()
    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the hyper-latent."""
        return [hyper_encoder_of(self._model)(_tensor(feeds["latent_steps"])).numpy()]


class TorchPrior:
    """PyTorch's prior, dense and as it was trained, run like the sessions of all passes.

    Args:
        model: the prior's.
        dtype: to compute in.
    """

    def __init__(self, model: ExportableModel, dtype: torch.dtype = torch.float32) -> None:
        self._model = model
        self._groups = prior_facts(model, 0).groups
        self._dtype = dtype
        self._features = torch.zeros(0), torch.zeros(0)
        self._known = torch.zeros(0, dtype=torch.int64)

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Return table index and mean that a pass asks for; the inputs tell which pass it is."""
        if "hyper_symbols" in feeds:
            return [*self._first(feeds), *[np.empty(0, np.float32)] * 2]
        context = [_tensor(feeds[name]) for name in ("known_symbols", "known_latent")]
        if "squares" not in feeds:
            return self._later(*context)
        size = feeds["place"].shape
        symbols, latent = (self._spread(values, size) for values in context)
        known = self._spread(torch.ones(len(symbols), 1, 1, len(self._known)), size)
        return self._at(_tensor(feeds["squares"]), symbols, latent, known)

    @torch.no_grad()
    def _first(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        self._known, empty = _tensor(feeds["squares"]), _tensor(feeds["inside"]) * 0
        hyper = _tensor(feeds["hyper_symbols"]).to(self._dtype)
        self._features = prior_of(self._model).features(hyper, tuple(empty.shape[2:]))
        context = empty.repeat(1, self._groups[0], 1, 1)
        return self._at(self._known, context, context, empty)

    @torch.no_grad()
    def _at(self, squares: Tensor, symbols: Tensor, latent: Tensor, known: Tensor) -> list[NDArray[Any]]:
        context = (value.to(self._dtype) for value in (symbols, latent, known))
        found = prior_of(self._model).first_group(self._features, *context)
        return _arrays(*(value.flatten(2)[:, :, squares][:, :, None] for value in found))

    @torch.no_grad()
    def _later(self, symbols: Tensor, latent: Tensor) -> list[NDArray[Any]]:
        number = list(accumulate(self._groups)).index(symbols.shape[1]) + 1
        context = symbols.to(self._dtype), latent.to(self._dtype)
        return _arrays(*prior_of(self._model).later_group(number, self._features, *context))

    def _spread(self, values: Tensor, size: tuple[int, ...]) -> Tensor:
        planes = torch.zeros(*values.shape[:2], size[0] * size[1])
        planes[:, :, self._known] = values[:, :, 0]
        return planes.reshape(*values.shape[:2], *size)


class ComparedHyperEncoder:
    """The runtime's hyper-encoder; PyTorch's sees the same input."""

    def __init__(self, session: Graph, model: ExportableModel, tally: Tally) -> None:
        self._session, self._torch, self._tally = session, TorchHyperEncoder(model), tally

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the runtime's outputs."""
        outputs = self._session.run(feeds)
        self._tally.hyper = larger(self._tally.hyper, outputs[0] - self._torch.run(feeds)[0])
        return outputs


class ComparedPrior:
    """One pass of the runtime's prior; PyTorch's sees the same input, in float64 too: there no sum can round."""

    def __init__(self, session: Graph, theirs: TorchPrior, exact: TorchPrior, tally: Tally) -> None:
        self._session, self._torch, self._exact, self._tally = session, theirs, exact, tally

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the runtime's outputs."""
        outputs = self._session.run(feeds)
        self._tally.mean = larger(self._tally.mean, outputs[1] - self._torch.run(feeds)[1])
        self._tally.indices += int(np.count_nonzero(outputs[0] != self._exact.run(feeds)[0]))
        return outputs


class Follower(SymbolWriter):
    """Rounds and keeps PyTorch's symbols, then goes on with the runtime's."""

    def __init__(self, tables: EntropyTables, reference: list[Pass]) -> None:
        super().__init__(tables)
        self._reference = reference

    def exchange(self, asked: Asked) -> NDArray[np.int16]:
        """Symbols of one pass."""
        super().exchange(asked)
        return self._reference[len(self.passes) - 1][1]


class Gate:
    """Compares one model with one bundle.

    Args:
        model: PyTorch's, as exported, float32 on the CPU.
        exact: the same in float64.
        codec: the bundle, on the CPU.
    """

    def __init__(self, model: ExportableModel, exact: ExportableModel, codec: Codec) -> None:
        self._model, self._codec, self._tally = model, codec, Tally()
        self._tables = codec.bundle.tables
        self._networks = networks = Networks(codec.bundle, codec.options)
        self._hyper = codec.bundle.manifest.prior.kind == "hyperprior"
        self._ours: Prior = FactorizedPrior(self._tables) if not self._hyper else networks.prior(compress=True)
        self._theirs = self._ours
        if self._hyper:
            facts = codec.bundle.manifest.prior
            theirs, doubled = TorchPrior(model), TorchPrior(exact, torch.float64)
            ours = [ComparedPrior(networks.session(role), theirs, doubled, self._tally) for role in facts.graphs]
            hyper_encoder = ComparedHyperEncoder(networks.session("hyper_encoder"), model, self._tally)
            self._ours = HyperPrior(self._tables, facts, ours, hyper_encoder)
            alone = [TorchPrior(model)] * len(facts.graphs)
            self._theirs = HyperPrior(self._tables, facts, alone, TorchHyperEncoder(model))

    def measure(self, cases: Sequence[NDArray[np.uint8]]) -> Parity:
        """Compare on stacks of real images, `[N, H, W, C]` each."""
        for images in cases:
            ours, theirs = self._networks.encode(images), torch_latents(self._model, images)
            difference = (ours - theirs) / self._tables.steps[-1][:, None, None]
            self._tally.latent = larger(self._tally.latent, difference)
            for quality in QUALITIES:
                self._compare_symbols(quality, images, ours, theirs)
                self._compare_codecs(quality, images, theirs)
        shapes = tuple((len(images), images.shape[1], images.shape[2]) for images in cases)
        return Parity(tuple(_checks(self._tally, self._hyper)), QUALITIES, shapes, self._tally.symbols[QUALITIES[0]])

    def _compare_symbols(self, quality: int, images: NDArray[np.uint8], ours: Floats, theirs: Floats) -> None:
        """Compare symbols given the same past, then the pixels of the same symbols."""
        shared = np.empty_like(ours)
        for span, place in spans(self._codec.bundle.geometry, ours):
            writer = SymbolWriter(self._tables)
            coded = writer.answer(self._ours.walk(quality, span, ours.shape[3], ours[place]))
            restore_latent(self._tables, quality, coded, shared[place])
            follower = Follower(self._tables, writer.passes)
            follower.answer(self._theirs.walk(quality, span, ours.shape[3], theirs[place]))
            for (tables, symbols), (their_tables, their_symbols) in zip(writer.passes, follower.passes, strict=True):
                difference = np.abs(symbols.astype(np.int32) - their_symbols)
                self._tally.differing[quality] += int(np.count_nonzero(difference))
                self._tally.symbols[quality] += len(difference)
                self._tally.largest = max(self._tally.largest, int(difference.max(initial=0)))
                self._tally.indices += int(np.count_nonzero(tables != their_tables))
        size = images.shape[1], images.shape[2]
        pixels = self._networks.decode(shared, *size).astype(np.int16)
        difference = np.abs(pixels - torch_pixels(self._model, shared, size))
        self._tally.pixels = max(self._tally.pixels, int(difference.max()))

    def _compare_codecs(self, quality: int, images: NDArray[np.uint8], theirs: Floats) -> None:
        """Let either side compress and restore by itself: squared error and bytes of payload."""
        restored, payload = np.empty_like(theirs), 0
        for span, place in spans(self._codec.bundle.geometry, theirs):
            writer = SymbolWriter(self._tables)
            coded = writer.answer(self._theirs.walk(quality, span, theirs.shape[3], theirs[place]))
            restore_latent(self._tables, quality, coded, restored[place])
            payload += len(writer.payload())
        stream = self._codec.compress_batch(images, quality)
        decoded = self._codec.decompress_batch(stream)
        pixels = torch_pixels(self._model, restored, (images.shape[1], images.shape[2]))
        errors = [float(np.square(found.astype(np.float64) - images).sum()) for found in (decoded, pixels)]
        self._tally.squared[quality] += errors
        self._tally.payload[quality] += [stream_info(stream).payload_bytes, payload]


def larger(so_far: float, difference: NDArray[Any]) -> float:
    """Return the larger of a running maximum and the largest magnitude; NaN stays NaN and fails every limit."""
    return float(np.max([so_far, np.abs(difference).max(initial=0)]))


def spans(geometry: Geometry, latents: Floats) -> Iterator[tuple[Span, tuple[slice, slice, slice]]]:
    """Give each chunk of a stack of latents `[N, c, h, w]` and where its part lies."""
    count, _, rows, columns = latents.shape
    for span in chunk_spans(geometry, count, rows, columns):
        images = slice(span.first_image, span.first_image + span.images)
        yield span, (images, slice(None), slice(span.first_row, span.first_row + span.rows))


def _checks(tally: Tally, hyper: bool) -> Iterator[Check]:
    yield Check("latent difference", tally.latent, LATENT_LIMIT, "of a step at quality 100")
    if hyper:
        yield Check("hyper-latent difference", tally.hyper, LATENT_LIMIT, "of a step")
        yield Check("mean difference", tally.mean, LATENT_LIMIT, "of a step")
        yield Check("table indices that differ", tally.indices, 0, "")
    share = max(tally.differing[quality] / max(tally.symbols[quality], 1) for quality in QUALITIES)
    yield Check("symbols that differ", share, SYMBOL_SHARE, "of all, at the worst quality")
    yield Check("symbol difference", tally.largest, SYMBOL_LIMIT, "")
    yield Check("pixel difference, same symbols", tally.pixels, PIXEL_LIMIT, "of 255")
    decibels = max(_decibels(*tally.squared[quality]) for quality in QUALITIES)
    yield Check("PSNR difference", decibels, PSNR_LIMIT_DB, "dB, at the worst quality")
    shares = max(abs(ours - theirs) / max(theirs, 1.0) for ours, theirs in tally.payload.values())
    yield Check("payload difference", shares, BYTES_SHARE, "of the bytes, at the worst quality")


def _decibels(ours: float, theirs: float) -> float:
    if ours == theirs:
        return 0.0
    return abs(10 * math.log10(ours / theirs)) if ours and theirs else math.inf


def _arrays(index: Tensor, mean: Tensor) -> list[NDArray[Any]]:
    return [index.to(torch.uint8).numpy(), mean.float().numpy()]


def _tensor(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))
