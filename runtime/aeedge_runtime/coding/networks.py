"""The networks of a bundle at work, in runs of bounded size."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import FLOAT32, UINT8, Floats, Pixels
from ..bundle.bundle import Bundle
from ..errors import BundleError
from ..inference.session import CPU, Session, SessionOptions
from ..inference.session_pool import SerializedGraph, SessionPool
from ..prior.factorized import FactorizedPrior
from ..prior.hyperprior import HyperPrior
from ..prior.passes import Graph, Prior
from ..profiling import stage, staged
from ..stream.layout import Block
from .tiling import Tile, cut_patches, fill, join_patches, pad, scaled, tiles, whole, window, within

SLICE_PIXELS = 1 << 19
"""Pixels of one run of a graph over several images or patches: bounds memory, and stays near the caches."""

MOST_WORKERS, MOST_BLOCK_WORKERS = 4, 2
"""Threads that work on the chunks of an image, and of one in several blocks, whose memory is bounded: each takes 25 to
50 MB with `photo`. On 16 cores, at 8 megapixels, twelve were a tenth faster than four."""


class Networks:
    """The networks of one bundle on one device; threads may share it.

    Args:
        bundle: where the graphs come from.
        options: device and threads; the prior always runs on the CPU.
    """

    def __init__(self, bundle: Bundle, options: SessionOptions) -> None:
        self._bundle, self._pool = bundle, SessionPool(bundle, options)
        facts = bundle.manifest
        self._stride, self._patched, self._channels = facts.image.stride, facts.image.patched, facts.image.channels
        self._latent_channels, self._band_pixels = facts.latent_channels, facts.limits.band_pixels
        self._decoder = "decoder"

    def with_decoder(self, role: str) -> Networks:
        """Return these networks, sessions shared, with another graph as the decoder."""
        if role == self._decoder:
            return self
        other = copy.copy(self)
        other._decoder = role
        return other

    def session(self, role: str, patches: int | None = None) -> Session:
        """Return the session of a graph; see `SessionPool.session`."""
        return self._pool.session(role, patches)

    def close(self) -> None:
        """Drop the sessions of all graphs."""
        self._pool.close()

    @staged("to_tensor")
    def encode(self, pixels: Pixels, output: str = "latent") -> Floats:
        """Encode images of one size, uint8 [N, H, W, C], padded here, to latents, float32 [N, c, h, w].

        Args:
            pixels: the images.
            output: which output of the encoder; that of a vae also has "log_variance".
        """
        count, height, width, _ = pixels.shape
        rows, columns = self._stride
        h, w = -(-height // rows), -(-width // columns)
        if self._at_once(count, h, w):
            return self._run_encoder(pad(pixels, h * rows, w * columns), output)
        return self.encode_rows(pixels, range(h), output)

    @staged("to_tensor")
    def encode_rows(self, pixels: Pixels, rows: range, output: str = "latent") -> Floats:
        """Encode some rows of the latents of images, float32 [N, c, len(rows), w].

        Args:
            pixels: the whole images, uint8 [N, H, W, C]; pixels around the rows are their context.
            rows: which rows of the latents.
            output: see `encode`.
        """
        facts, (h, w) = self._bundle.manifest.image, self._latent_size(pixels)
        if not facts.patched:
            run = partial(self._encode_slice, rows=rows, output=output)
            return _in_slices(pixels, facts.stride[0] * h * facts.stride[1] * w, run)
        alone = pixels.shape[1:3] == facts.stride  # one patch an image
        patches = pixels if alone else cut_patches(window(pixels, rows, range(w), facts.stride), facts.stride)
        latents = _in_slices(patches, facts.stride[0] * facts.stride[1], partial(self._run_encoder, output=output))
        if alone:
            return latents
        return np.ascontiguousarray(latents.reshape(len(pixels), len(rows), w, -1).transpose(0, 3, 1, 2))

    @staged("to_image")
    def decode(self, latents: Floats, height: int, width: int) -> Pixels:
        """Decode latents, float32 [N, c, h, w], to images, uint8 [N, H, W, C], cropped."""
        count, _, h, w = latents.shape
        if self._at_once(count, h, w):
            made = self._run_decoder(latents)
            return made if made.shape[1:3] == (height, width) else made[:, :height, :width].copy()
        pixels = np.empty((count, height, width, self._channels), np.uint8)
        self.decode_rows(latents, range(h), range(h), pixels, h)
        return pixels

    @staged("to_image")
    def decode_rows(self, latents: Floats, held: range, rows: range, band: Pixels, h: int) -> None:
        """Decode some rows of latents into their pixels.

        Args:
            latents: float32 [N, c, len(held), w].
            held: the rows that `latents` holds: `rows` and their context within the receptive field.
            rows: which rows to decode.
            band: their pixels, uint8 [N, rows in pixels, W, C], or one channel for the luma of a color model.
            h: rows of the latents of whole images.
        """
        facts, w = self._bundle.manifest.image, latents.shape[3]
        if facts.patched:
            part = np.ascontiguousarray(latents[:, :, within(rows, held)].transpose(0, 2, 3, 1))
            entries = part.reshape(-1, part.shape[3], 1, 1)
            patches = _in_slices(entries, facts.stride[0] * facts.stride[1], self._run_decoder)
            fill(band, join_patches(patches, *part.shape[:3]))
            return
        step = _slice_length(facts.stride[0] * h * facts.stride[1] * w)
        for first in range(0, len(latents), step):
            images = slice(first, first + step)
            for tile in self._tiles(rows, h, w):
                outer = latents[images, :, within(tile.outer_rows, held), whole(tile.outer_columns)]
                self._decode_tile(outer, tile, band[images], rows.start)

    def in_parts(self, h: int, w: int) -> bool:
        """Return whether images of h x w latent positions go through the graphs in patches or tiles.

        Only then can some rows be decoded alone: a network that looks at the whole image never works in parts.
        """
        return self._patched or h * w * self._stride[0] * self._stride[1] > self._band_pixels

    def workers(self, plan: Sequence[Block]) -> int:
        """Return how many threads work on the chunks of a block: several, or one, with all threads inside each graph.

        Args:
            plan: blocks of the stream.
        """
        workers = min(self._pool.threads, MOST_WORKERS if len(plan) == 1 else MOST_BLOCK_WORKERS)
        return workers if max(len(block.spans) for block in plan) >= workers else 1

    def prior(self, *, compress: bool, workers: int = 1, first_group: bool = False) -> Prior:
        """Return the model of the symbols.

        Args:
            compress: whether to include the side that only compressing needs.
            workers: threads that call it at once; if several, each graph runs on the calling thread.
            first_group: open the graphs of the first group of channels alone.
        """
        facts, tables, pool = self._bundle.manifest.prior, self._bundle.tables, self._pool
        if facts.kind == "factorized":
            return FactorizedPrior(tables)
        threads = pool.threads if workers == 1 else 1
        roles = facts.graphs[: facts.passes] if first_group else facts.graphs
        hyper_encoder: Graph | None = None
        if compress:
            session = pool.with_threads("hyper_encoder", threads if pool.on_cpu else pool.threads)
            hyper_encoder = SerializedGraph(session) if workers > 1 and session.provider != CPU else session
        return HyperPrior(tables, facts, [pool.with_threads(role, threads) for role in roles], hyper_encoder)

    def _latent_size(self, pixels: Pixels) -> tuple[int, int]:
        return self._bundle.geometry.latent_size(*pixels.shape[1:3])

    def _at_once(self, count: int, h: int, w: int) -> bool:
        """Return whether images of h x w latent positions go through a graph in one run, without slices or tiles.

        For small images, everything around the graph takes as long as the graph; callers ask this first.
        """
        pixels = h * w * self._stride[0] * self._stride[1]
        if count * pixels > SLICE_PIXELS and count > 1:
            return False
        return h == w == 1 if self._patched else pixels <= self._band_pixels

    def _encode_slice(self, pixels: Pixels, rows: range, output: str) -> Floats:
        facts, (h, w) = self._bundle.manifest, self._latent_size(pixels)
        parts = self._tiles(rows, h, w)
        if len(parts) == 1:
            return self._encode_tile(pixels, parts[0], output)
        latents = np.empty((len(pixels), facts.latent_channels, len(rows), w), np.float32)
        for tile in parts:
            latents[:, :, within(tile.rows, rows), whole(tile.columns)] = self._encode_tile(pixels, tile, output)
        return latents

    def _encode_tile(self, pixels: Pixels, tile: Tile, output: str) -> Floats:
        latents = self._run_encoder(window(pixels, tile.outer_rows, tile.outer_columns, self._stride), output)
        return latents[:, :, within(tile.rows, tile.outer_rows), within(tile.columns, tile.outer_columns)]

    def _decode_tile(self, latents: Floats, tile: Tile, band: Pixels, first: int) -> None:
        rows, columns = self._bundle.manifest.image.stride
        made = self._run_decoder(latents)
        top, left = (
            (tile.rows.start - tile.outer_rows.start) * rows,
            (tile.columns.start - tile.outer_columns.start) * columns,
        )
        target = range(tile.rows.start - first, tile.rows.stop - first)
        fill(band[:, scaled(target, rows), scaled(tile.columns, columns)], made[:, top:, left:])

    def _tiles(self, rows: range, h: int, w: int) -> list[Tile]:
        return tiles(rows, h, w, self._stride, self._band_pixels, self._bundle.manifest.limits.overlap)

    def _run_encoder(self, pixels: Pixels, output: str) -> Floats:
        feeds = {"image": np.ascontiguousarray(pixels)}
        session = self._pool.session("encoder", len(pixels))
        if output != "latent" and output not in session.outputs:
            raise BundleError(f"encoder.onnx gives {', '.join(session.outputs)}, not {output}; export again")
        with stage("encoder_graph"):
            latent = session.run(feeds)[0 if output == "latent" else session.outputs.index(output)]
        count, height, width, _ = pixels.shape
        expected = (count, self._latent_channels, height // self._stride[0], width // self._stride[1])
        if latent.shape != expected or latent.dtype != FLOAT32:
            raise BundleError(
                f"encoder.onnx returned {latent.dtype} {latent.shape}, expected float32 {expected}; export again"
            )
        return latent

    def _run_decoder(self, latents: Floats) -> Pixels:
        feeds = {"latent": np.ascontiguousarray(latents)}
        with stage("decoder_graph"):
            pixels = self._pool.session(self._decoder, len(latents)).run(feeds)[0]
        count, _, h, w = latents.shape
        expected = (count, h * self._stride[0], w * self._stride[1], self._channels)
        if pixels.shape != expected or pixels.dtype != UINT8:
            raise BundleError(
                f"{self._decoder}.onnx returned {pixels.dtype} {pixels.shape}, expected uint8 {expected}; export again"
            )
        return pixels


def _in_slices(values: NDArray[Any], pixels_each: int, run: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[Any]:
    """Run a graph over slices of a batch, each of at most SLICE_PIXELS, or of one entry."""
    step = _slice_length(pixels_each)
    if len(values) <= step:
        return run(values)
    return np.concatenate([run(values[first : first + step]) for first in range(0, len(values), step)])


def _slice_length(pixels_each: int) -> int:
    return max(SLICE_PIXELS // pixels_each, 1)
