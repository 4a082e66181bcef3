"""The graphs of a bundle at work: padding, patches, slices of bounded size, tiles of large images.

Sessions are opened at first use, once, and opened anew in a process that was forked.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Floats, Pixels
from ..bundle.bundle import Bundle
from ..bundle.manifest import Manifest
from ..errors import BundleError
from ..images.picture import to_gray
from ..inference.backend import default_threads
from ..inference.session import CPU, Session, SessionOptions, open_session
from ..profiling import stage, staged
from ..stream.layout import Block
from .prior import FactorizedPrior, Graph, HyperPrior, Prior

SLICE_PIXELS = 1 << 19
"""Pixels of one run of a graph where several images or patches wait: bounds memory, and stays near the caches."""

FEW_PRODUCTS = 2_000_000
"""Multiply-adds up to which a fully connected network runs on one thread: to wake a second takes 11 microseconds, as
long as the whole graph for one digit. The two are equal at 3 to 7 million."""

TILE_PIXELS = 1 << 20
"""Most pixels of one run of a graph over a part of a large image, context included. With a reach of 3 latent rows and
columns 22 % of what `photo` computes is context then. Tiles of twice the size have 15 %, but a pixel of them takes a
sixth longer, as activations leave the caches."""

MOST_WORKERS, MOST_BESIDE_BLOCKS = 4, 2
"""Threads that walk over the chunks of an image, and of one that goes in several blocks, whose memory is bounded: with
`photo` each takes 25 to 50 MB. On 16 cores twelve were a tenth faster than four, at 8 megapixels."""

_UINT8, _FLOAT32 = np.dtype(np.uint8), np.dtype(np.float32)
"""To compare a type with these takes a fifth of the time that NumPy's classes take."""


@dataclass(frozen=True)
class Tile:
    """Latent rows and columns of one run of a graph: those it is run for, and with the ones that lend them context."""

    rows: range
    columns: range
    outer_rows: range
    outer_columns: range


@dataclass
class _Sessions:
    """Open sessions of one process."""

    process: int
    lock: threading.RLock = field(default_factory=threading.RLock)
    opened: dict[tuple[str, int], Session] = field(default_factory=dict)


class Turns:
    """A graph of which threads make one run at a time: on a GPU every run at once takes memory of its own."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._lock = threading.Lock()

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Outputs of the graph."""
        with self._lock:
            return self._graph.run(feeds)


class Networks:
    """The graphs of one bundle on one device; safe to share by threads.

    Args:
        bundle: where the graphs come from.
        options: device and threads; the prior always runs on the CPU.
    """

    def __init__(self, bundle: Bundle, options: SessionOptions) -> None:
        self._bundle = bundle
        self._options = options
        self._threads = options.threads or default_threads()
        self._sessions = _Sessions(os.getpid())
        facts = bundle.manifest
        self._stride, self._patched, self._channels = facts.image.stride, facts.image.patched, facts.image.channels
        self._latent_channels, self._band_pixels = facts.latent_channels, facts.limits.band_pixels
        self._few_patches = _few_patches(facts)

    def session(self, role: str, patches: int | None = None) -> Session:
        """The session of a graph, opened at first use.

        Args:
            role: which graph.
            patches: how many go through it at once: where they are few, the session has a single thread.

        Raises:
            DeviceError: the device cannot be used.
            BundleError: the graph is damaged or not accepted.
        """
        few = patches is not None and patches <= self._few_patches.get(role, 0) and self._options.device == "cpu"
        return self._opened(role, 1 if few else self._threads)

    def _opened(self, role: str, threads: int) -> Session:
        state, key = self._own_sessions(), (role, threads)
        if key in state.opened:
            return state.opened[key]
        with state.lock:
            if key not in state.opened:
                state.opened[key] = self._open(role, threads)
            return state.opened[key]

    @staged("to_tensor")
    def encode(self, pixels: Pixels, output: str = "latent") -> Floats:
        """Latents, float32 [N, c, h, w], of images of one size, uint8 [N, H, W, C]; padded here by repeating edges.

        Args:
            pixels: the images.
            output: which output of the encoder; a vae's has "log_variance" too.
        """
        count, height, width, _ = pixels.shape
        rows, columns = self._stride
        h, w = -(-height // rows), -(-width // columns)
        if self._at_once(count, h, w):
            return self._run_encoder(_padded(pixels, h * rows, w * columns), output)
        return self.encode_rows(pixels, range(h), output)

    @staged("to_tensor")
    def encode_rows(self, pixels: Pixels, rows: range, output: str = "latent") -> Floats:
        """Some rows of the latents that `encode` gives, float32 [N, c, len(rows), w].

        Args:
            pixels: the whole images, uint8 [N, H, W, C]; those near the rows lend them context.
            rows: which rows of the latents.
            output: see `encode`.
        """
        facts, (h, w) = self._bundle.manifest.image, self._latent_size(pixels)
        if not facts.patched:
            run = partial(self._encode_slice, rows=rows, output=output)
            return _in_slices(pixels, facts.stride[0] * h * facts.stride[1] * w, run)
        alone = pixels.shape[1:3] == facts.stride  # one patch an image
        patches = pixels if alone else _cut(_window(pixels, rows, range(w), facts.stride), facts.stride)
        latents = _in_slices(patches, facts.stride[0] * facts.stride[1], partial(self._run_encoder, output=output))
        if alone:
            return latents
        return np.ascontiguousarray(latents.reshape(len(pixels), len(rows), w, -1).transpose(0, 3, 1, 2))

    @staged("to_image")
    def decode(self, latents: Floats, height: int, width: int) -> Pixels:
        """Images, uint8 [N, H, W, C], cropped, of latents, float32 [N, c, h, w]."""
        count, _, h, w = latents.shape
        if self._at_once(count, h, w):
            made = self._run_decoder(latents)
            return made if made.shape[1:3] == (height, width) else made[:, :height, :width].copy()
        pixels = np.empty((count, height, width, self._channels), np.uint8)
        self.decode_rows(latents, range(h), range(h), pixels, h)
        return pixels

    @staged("to_image")
    def decode_rows(self, latents: Floats, held: range, rows: range, band: Pixels, h: int) -> None:
        """Fills in the pixels that belong to some rows of latents.

        Args:
            latents: float32 [N, c, len(held), w].
            held: the rows that `latents` holds; `rows`, and what the images have of them within the networks' reach.
            rows: which rows to decode.
            band: their pixels, uint8 [N, rows in pixels, W, C], or one channel for the luma of a colour model.
            h: rows of the latents of whole images.
        """
        facts, w = self._bundle.manifest.image, latents.shape[3]
        if facts.patched:
            part = np.ascontiguousarray(latents[:, :, _within(rows, held)].transpose(0, 2, 3, 1))
            entries = part.reshape(-1, part.shape[3], 1, 1)
            patches = _in_slices(entries, facts.stride[0] * facts.stride[1], self._run_decoder)
            _fill(band, _join(patches, *part.shape[:3]))
            return
        step = _slice_length(facts.stride[0] * h * facts.stride[1] * w)
        for first in range(0, len(latents), step):
            images = slice(first, first + step)
            for tile in self._tiles(rows, h, w):
                outer = latents[images, :, _within(tile.outer_rows, held), _whole(tile.outer_columns)]
                self._decode_tile(outer, tile, band[images], rows.start)

    def workers(self, plan: Sequence[Block]) -> int:
        """Threads that walk over the chunks of a block: several, or one, with all threads inside each graph.

        Args:
            plan: blocks of the stream.
        """
        workers = min(self._threads, MOST_WORKERS if len(plan) == 1 else MOST_BESIDE_BLOCKS)
        return workers if max(len(block.spans) for block in plan) >= workers else 1

    def prior(self, *, compress: bool, workers: int = 1) -> Prior:
        """The model of the symbols.

        Args:
            compress: whether with the side that only a compressing caller needs.
            workers: threads that call it at once; for several each graph runs on the thread that calls.
        """
        facts, tables = self._bundle.manifest.prior, self._bundle.tables
        if facts.kind == "factorized":
            return FactorizedPrior(tables)
        threads = self._threads if workers == 1 else 1
        hyper_encoder: Graph | None = None
        if compress:
            on_cpu = self._options.device == "cpu"
            hyper_encoder = self._opened("hyper_encoder", threads if on_cpu else self._threads)
            if workers > 1 and hyper_encoder.provider != CPU:
                hyper_encoder = Turns(hyper_encoder)
        return HyperPrior(tables, facts, [self._opened(role, threads) for role in facts.graphs], hyper_encoder)

    def _own_sessions(self) -> _Sessions:
        """Sessions of this process; those of a parent are not used: their threads are not here."""
        state = self._sessions
        if state.process != os.getpid():
            state = self._sessions = _Sessions(os.getpid())
        return state

    @staged("open_graph")
    def _open(self, role: str, threads: int) -> Session:
        exact = role in self._bundle.manifest.prior.graphs  # the same table indices everywhere: always on the CPU
        options = replace(self._options, threads=threads)
        if exact:
            options = replace(options, device="cpu", provider_options={})
        with self._bundle.graph(role) as model:
            session = open_session(model, options, role=f"{role}.onnx")
        if self._options.device == "auto" and not exact:
            device = "cpu" if session.provider == CPU else "cuda"
            settings = {} if device == "cpu" else self._options.provider_options
            self._options = replace(self._options, device=device, provider_options=settings)
        return session

    def _latent_size(self, pixels: Pixels) -> tuple[int, int]:
        return self._bundle.geometry.latent_size(*pixels.shape[1:3])

    def _at_once(self, count: int, h: int, w: int) -> bool:
        """Whether images of h x w latent positions go through a graph in one run, not in slices, tiles or patches.

        What surrounds the graph takes as long as the graph where images are small, so callers ask this first.
        """
        pixels = h * w * self._stride[0] * self._stride[1]
        if count * pixels > SLICE_PIXELS and count > 1:
            return False
        return h == w == 1 if self._patched else pixels <= self._band_pixels

    def _encode_slice(self, pixels: Pixels, rows: range, output: str) -> Floats:
        facts, (h, w) = self._bundle.manifest, self._latent_size(pixels)
        tiles = self._tiles(rows, h, w)
        if len(tiles) == 1:
            return self._encode_tile(pixels, tiles[0], output)
        latents = np.empty((len(pixels), facts.latent_channels, len(rows), w), np.float32)
        for tile in tiles:
            latents[:, :, _within(tile.rows, rows), _whole(tile.columns)] = self._encode_tile(pixels, tile, output)
        return latents

    def _encode_tile(self, pixels: Pixels, tile: Tile, output: str) -> Floats:
        window = _window(pixels, tile.outer_rows, tile.outer_columns, self._bundle.manifest.image.stride)
        latents = self._run_encoder(window, output)
        return latents[:, :, _within(tile.rows, tile.outer_rows), _within(tile.columns, tile.outer_columns)]

    def _decode_tile(self, latents: Floats, tile: Tile, band: Pixels, first: int) -> None:
        rows, columns = self._bundle.manifest.image.stride
        made = self._run_decoder(latents)
        top, left = (
            (tile.rows.start - tile.outer_rows.start) * rows,
            (tile.columns.start - tile.outer_columns.start) * columns,
        )
        place = range(tile.rows.start - first, tile.rows.stop - first)
        _fill(band[:, _scaled(place, rows), _scaled(tile.columns, columns)], made[:, top:, left:])

    def _tiles(self, rows: range, h: int, w: int) -> list[Tile]:
        """What the graphs see at once of some latent rows of h x w ones: all of them, or tiles of a large image."""
        limits, stride = self._bundle.manifest.limits, self._bundle.manifest.image.stride
        most = limits.band_pixels // (stride[0] * stride[1])
        if len(rows) == h and h * w <= most:
            return [Tile(rows, range(w), rows, range(w))]
        most = min(most, TILE_PIXELS // (stride[0] * stride[1]))
        bands = _pieces(rows, h, math.isqrt(most), limits.overlap)
        strips = _pieces(range(w), w, most // max(len(outer) for _, outer in bands), limits.overlap)
        return [Tile(band[0], strip[0], band[1], strip[1]) for band in bands for strip in strips]

    def _run_encoder(self, pixels: Pixels, output: str) -> Floats:
        feeds = {"image": np.ascontiguousarray(pixels)}
        session = self.session("encoder", len(pixels))
        if output != "latent" and output not in session.outputs:
            raise BundleError(f"encoder.onnx gives {', '.join(session.outputs)}, expected {output} too; export again")
        with stage("encoder_graph"):
            latent = session.run(feeds)[0 if output == "latent" else session.outputs.index(output)]
        count, height, width, _ = pixels.shape
        expected = (count, self._latent_channels, height // self._stride[0], width // self._stride[1])
        if latent.shape != expected or latent.dtype != _FLOAT32:
            raise BundleError(
                f"encoder.onnx gave {latent.dtype} {latent.shape}, expected float32 {expected}; export again"
            )
        return latent

    def _run_decoder(self, latents: Floats) -> Pixels:
        feeds = {"latent": np.ascontiguousarray(latents)}
        with stage("decoder_graph"):
            pixels = self.session("decoder", len(latents)).run(feeds)[0]
        count, _, h, w = latents.shape
        expected = (count, h * self._stride[0], w * self._stride[1], self._channels)
        if pixels.shape != expected or pixels.dtype != _UINT8:
            raise BundleError(
                f"decoder.onnx gave {pixels.dtype} {pixels.shape}, expected uint8 {expected}; export again"
            )
        return pixels


def _few_patches(manifest: Manifest) -> dict[str, int]:
    """Patches up to which a graph runs on one thread, by role; nothing of networks that take whole images.

    A weight is used once a patch, so that the size of a graph tells its multiply-adds.
    """
    sizes = {half: manifest.files[f"{half}.onnx"].bytes for half in manifest.halves}
    return {half: FEW_PRODUCTS // max(size // 4, 1) for half, size in sizes.items()} if manifest.image.patched else {}


def _in_slices(values: NDArray[Any], pixels_each: int, run: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[Any]:
    """Runs a graph over slices of a batch, each of at most SLICE_PIXELS, or of one entry."""
    step = _slice_length(pixels_each)
    if len(values) <= step:
        return run(values)
    return np.concatenate([run(values[first : first + step]) for first in range(0, len(values), step)])


def _slice_length(pixels_each: int) -> int:
    return max(SLICE_PIXELS // pixels_each, 1)


def _pieces(part: range, size: int, most: int, overlap: int) -> list[tuple[range, range]]:
    """Cuts a part of 0..size into pieces of about one length, each without and with what lends it context.

    A piece with its context is at most `most` long where that leaves more piece than context on either side.
    """
    inner = max(most - 2 * overlap, overlap, 1)
    if min(part.stop + overlap, size) - max(part.start - overlap, 0) <= most:
        inner = len(part)
    step = -(-len(part) // -(-len(part) // inner))
    pieces = [range(first, min(first + step, part.stop)) for first in range(part.start, part.stop, step)]
    return [(piece, range(max(piece.start - overlap, 0), min(piece.stop + overlap, size))) for piece in pieces]


def _whole(part: range) -> slice:
    return slice(part.start, part.stop)


def _within(part: range, outer: range) -> slice:
    """Where a part lies in an array that starts where `outer` does."""
    return slice(part.start - outer.start, part.stop - outer.start)


def _scaled(part: range, stride: int) -> slice:
    """A part of a latent's rows or columns, in pixels."""
    return slice(part.start * stride, part.stop * stride)


def _fill(place: Pixels, made: Pixels) -> None:
    """Writes what a decoder made where it belongs: cropped, and as luma where there is room for one channel only."""
    cropped = made[:, : place.shape[1], : place.shape[2]]
    place[:] = cropped if place.shape[3] == made.shape[3] else to_gray(cropped)


def _window(pixels: Pixels, rows: range, columns: range, stride: tuple[int, int]) -> Pixels:
    """Pixels of latent rows and columns; beyond the last row or column of the image, that one again."""
    part = pixels[:, _scaled(rows, stride[0]), _scaled(columns, stride[1])]
    return _padded(part, len(rows) * stride[0], len(columns) * stride[1])


def _padded(pixels: Pixels, rows: int, columns: int) -> Pixels:
    """Images of so many rows and columns: their last ones are repeated."""
    count, height, width, channels = pixels.shape
    if height == rows and width == columns:
        return pixels
    padded = np.empty((count, rows, columns, channels), np.uint8)
    padded[:, :height, :width] = pixels
    padded[:, height:, :width] = pixels[:, -1:]
    padded[:, :, width:] = padded[:, :, width - 1 : width]
    return padded


def _cut(pixels: Pixels, patch: tuple[int, int]) -> Pixels:
    """Patches in row-major order, uint8 [N * h * w, patch rows, patch columns, C]."""
    count, height, width, channels = pixels.shape
    h, w = height // patch[0], width // patch[1]
    if h == w == 1:
        return pixels
    tiles = pixels.reshape(count, h, patch[0], w, patch[1], channels).transpose(0, 1, 3, 2, 4, 5)
    return np.ascontiguousarray(tiles).reshape(-1, patch[0], patch[1], channels)


def _join(patches: Pixels, count: int, h: int, w: int) -> Pixels:
    """The inverse of `_cut`: images, uint8 [count, h * patch rows, w * patch columns, C]."""
    if h == w == 1:
        return patches
    _, rows, columns, channels = patches.shape
    tiles = patches.reshape(count, h, w, rows, columns, channels).transpose(0, 1, 3, 2, 4, 5)
    return np.ascontiguousarray(tiles).reshape(count, h * rows, w * columns, channels)
