"""The parity gate: the bundle must compute what PyTorch computes, or it does not ship.

PyTorch and the runtime, at the optimization level that ships, see the same real images at several sizes, odd ones
included, in batches of 1 and 3. There is no tolerance other than the limits of `checks.parity`. Symbols are compared
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

from aeedge.models import Autoencoder
from aeedge.models.exact_prior import ExactPrior
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
from aeedge_export.checks.parity_cases import parity_cases
from aeedge_export.errors import ExportError
from aeedge_export.frozen import double_copy, frozen_copy
from aeedge_export.latents import Floats, torch_latents, torch_pixels
from aeedge_runtime import stream_info
from aeedge_runtime.bundle.bundle import Bundle
from aeedge_runtime.codec import Codec
from aeedge_runtime.coding.trace import HYPER_ENCODER, Tracer
from aeedge_runtime.limits import MAX_PIXELS
from aeedge_runtime.prior.passes import Graph

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
    """PyTorch's hyper-encoder behind the interface of a session."""

    def __init__(self, prior: ExactPrior) -> None:
        self._network = prior.hyper_encoder

    @torch.no_grad()
    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the hyper-latent."""
        return [self._network(_tensor(feeds["latent_steps"])).numpy()]


class TorchPrior:
    """PyTorch's prior, dense and as it was trained, behind the interface of the sessions of all passes.

    Args:
        prior: the prior.
        dtype: precision to compute in.
    """

    def __init__(self, prior: ExactPrior, dtype: torch.dtype = torch.float32) -> None:
        self._prior, self._groups = prior.prior, prior.groups
        self._dtype = dtype
        self._features = torch.zeros(0), torch.zeros(0)
        self._known = torch.zeros(0, dtype=torch.int64)

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Return table index and mean that a pass requests; the inputs determine which pass it is."""
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
        self._features = self._prior.features(hyper, (empty.shape[2], empty.shape[3]))
        context = empty.repeat(1, self._groups[0], 1, 1)
        return self._at(self._known, context, context, empty)

    @torch.no_grad()
    def _at(self, squares: Tensor, symbols: Tensor, latent: Tensor, known: Tensor) -> list[NDArray[Any]]:
        context = (value.to(self._dtype) for value in (symbols, latent, known))
        found = self._prior.first_group(self._features, *context)
        return _arrays(*(value.flatten(2)[:, :, squares][:, :, None] for value in found))

    @torch.no_grad()
    def _later(self, symbols: Tensor, latent: Tensor) -> list[NDArray[Any]]:
        number = list(accumulate(self._groups)).index(symbols.shape[1]) + 1
        context = symbols.to(self._dtype), latent.to(self._dtype)
        return _arrays(*self._prior.later_group(number, self._features, *context))

    def _spread(self, values: Tensor, size: tuple[int, ...]) -> Tensor:
        planes = torch.zeros(*values.shape[:2], size[0] * size[1])
        planes[:, :, self._known] = values[:, :, 0]
        return planes.reshape(*values.shape[:2], *size)


class ComparedHyperEncoder:
    """The runtime's hyper-encoder; PyTorch's sees the same input."""

    def __init__(self, session: Graph, theirs: TorchHyperEncoder, tally: Tally) -> None:
        self._session, self._torch, self._tally = session, theirs, tally

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


def measure_parity(model: Autoencoder, bundle: Bundle, images: Sequence[NDArray[np.uint8]]) -> Parity:
    """Compare a model and its bundle on held-out images, uint8 `[H, W, C]`.

    Raises:
        ExportError: there are no images.
    """
    if not images:
        raise ExportError("there are no held-out images to compare PyTorch and the bundle on")
    frozen = frozen_copy(model)
    return Gate(frozen, double_copy(frozen), Codec.load(bundle)).measure(parity_cases(frozen, images))


class Gate:
    """Compares one model with one bundle.

    Args:
        model: PyTorch's, as exported, float32 on the CPU.
        exact: the same in float64.
        codec: the bundle, on the CPU.
    """

    def __init__(self, model: Autoencoder, exact: Autoencoder, codec: Codec) -> None:
        self._model, self._codec, self._tally = model, codec, Tally()
        self._finest_steps = codec.bundle.tables.steps[-1][:, None, None]
        self._tracer = tracer = Tracer(codec.bundle, codec.options)
        self._ours: dict[str, Graph] = {}
        self._theirs: dict[str, Graph] = {}
        if model.exact_prior and exact.exact_prior:
            theirs, doubled = TorchPrior(model.exact_prior), TorchPrior(exact.exact_prior, torch.float64)
            graphs, hyper_encoder = dict(tracer.graphs), TorchHyperEncoder(model.exact_prior)
            compared = ComparedHyperEncoder(graphs.pop(HYPER_ENCODER), hyper_encoder, self._tally)
            passes = {role: ComparedPrior(graph, theirs, doubled, self._tally) for role, graph in graphs.items()}
            self._ours = {**passes, HYPER_ENCODER: compared}
            self._theirs = {**dict.fromkeys(graphs, TorchPrior(model.exact_prior)), HYPER_ENCODER: hyper_encoder}

    def measure(self, cases: Sequence[NDArray[np.uint8]]) -> Parity:
        """Compare on stacks of real images, `[N, H, W, C]` each."""
        for images in cases:
            ours, theirs = self._tracer.encode(images), torch_latents(self._model, images)
            self._tally.latent = larger(self._tally.latent, (ours - theirs) / self._finest_steps)
            for quality in QUALITIES:
                self._compare_symbols(quality, images, ours, theirs)
                self._compare_codecs(quality, images, theirs)
        shapes = tuple((len(images), images.shape[1], images.shape[2]) for images in cases)
        checks = tuple(_checks(self._tally, bool(self._ours)))
        return Parity(checks, QUALITIES, shapes, self._tally.symbols[QUALITIES[0]])

    def _compare_symbols(self, quality: int, images: NDArray[np.uint8], ours: Floats, theirs: Floats) -> None:
        """Compare symbols given the same past, then the pixels of the same symbols."""
        shared = self._tracer.code(ours, quality, self._ours)
        follower = self._tracer.code(theirs, quality, self._theirs, follow=shared)
        for (tables, symbols), (their_tables, their_symbols) in zip(shared.passes, follower.passes, strict=True):
            difference = np.abs(symbols.astype(np.int32) - their_symbols)
            self._tally.differing[quality] += int(np.count_nonzero(difference))
            self._tally.symbols[quality] += len(difference)
            self._tally.largest = max(self._tally.largest, int(difference.max(initial=0)))
            self._tally.indices += int(np.count_nonzero(tables != their_tables))
        size = images.shape[1], images.shape[2]
        pixels = self._tracer.decode(shared.latents, *size).astype(np.int16)
        difference = np.abs(pixels - torch_pixels(self._model, shared.latents, size))
        self._tally.pixels = max(self._tally.pixels, int(difference.max()))

    def _compare_codecs(self, quality: int, images: NDArray[np.uint8], theirs: Floats) -> None:
        """Let each side compress and decompress on its own: squared error and bytes of payload."""
        alone = self._tracer.code(theirs, quality, self._theirs)
        most = MAX_PIXELS  # of all images together; a bundle's own limit may be for one that goes through whole
        stream = self._codec.compress_batch(images, quality, stored_tiles=False, max_pixels=most)
        decoded = self._codec.decompress_batch(stream, max_pixels=most)
        pixels = torch_pixels(self._model, alone.latents, (images.shape[1], images.shape[2]))
        errors = [float(np.square(found.astype(np.float64) - images).sum()) for found in (decoded, pixels)]
        self._tally.squared[quality] += errors
        self._tally.payload[quality] += [stream_info(stream).payload_bytes, alone.payload_bytes()]


def larger(so_far: float, difference: NDArray[Any]) -> float:
    """Return the larger of a running maximum and the largest magnitude; NaN stays NaN and fails every limit."""
    return float(np.max([so_far, np.abs(difference).max(initial=0)]))


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
