"""The graphs of a bundle at work: padding, patches, slices of bounded size, bands of large images.

Sessions are opened at first use, once, and opened anew in a process that was forked.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bundle import Bundle
from .errors import BundleError
from .prior import FactorizedPrior, HyperPrior, Prior
from .session import CPU, Session, SessionOptions, open_session
from .stages import stage, staged

SLICE_PIXELS = 1 << 19
"""Pixels of one run of a graph where several images or patches wait: bounds memory, and stays near the caches."""

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass
class _Sessions:
    """Open sessions of one process."""

    process: int
    lock: threading.RLock = field(default_factory=threading.RLock)
    opened: dict[str, Session] = field(default_factory=dict)


class Networks:
    """The graphs of one bundle on one device; safe to share by threads.

    Args:
        bundle: where the graphs come from.
        options: device and threads; the prior always runs on the CPU.
    """

    def __init__(self, bundle: Bundle, options: SessionOptions) -> None:
        self._bundle = bundle
        self._options = options
        self._sessions = _Sessions(os.getpid())

    def session(self, role: str) -> Session:
        """The session of a graph, opened at first use.

        Raises:
            DeviceError: the device cannot be used.
            BundleError: the graph is damaged or not accepted.
        """
        state = self._own_sessions()
        found = state.opened.get(role)
        if found is not None:
            return found
        with state.lock:
            if role not in state.opened:
                state.opened[role] = self._open(role)
            return state.opened[role]

    @staged("to_tensor")
    def encode(self, pixels: Pixels, output: str = "latent") -> Floats:
        """Latents, float32 [N, c, h, w], of images of one size, uint8 [N, H, W, C]; padded here by repeating edges.

        Args:
            pixels: the images.
            output: which output of the encoder; a vae's has "log_variance" too.
        """
        facts = self._bundle.manifest.image
        count, height, width, _ = pixels.shape
        h, w = self._bundle.geometry.latent_size(height, width)
        padded = _pad(pixels, h * facts.stride[0], w * facts.stride[1])
        if not facts.patched:
            return _in_slices(padded, padded.shape[1] * padded.shape[2], partial(self._encode_slice, output=output))
        patches = _cut(padded, facts.stride)
        latents = _in_slices(patches, facts.stride[0] * facts.stride[1], partial(self._run_encoder, output=output))
        return np.ascontiguousarray(latents.reshape(count, h, w, -1).transpose(0, 3, 1, 2))

    @staged("to_image")
    def decode(self, latents: Floats, height: int, width: int) -> Pixels:
        """Images, uint8 [N, H, W, C], cropped, of latents, float32 [N, c, h, w]."""
        facts = self._bundle.manifest.image
        count, channels, h, w = latents.shape
        patch = facts.stride[0] * facts.stride[1]
        if not facts.patched:
            return _in_slices(latents, patch * h * w, self._decode_slice)[:, :height, :width]
        patches = np.ascontiguousarray(latents.transpose(0, 2, 3, 1)).reshape(count * h * w, channels, 1, 1)
        return _join(_in_slices(patches, patch, self._run_decoder), count, h, w)[:, :height, :width]

    def prior(self, *, compress: bool) -> Prior:
        """The model of the symbols."""
        facts, tables = self._bundle.manifest.prior, self._bundle.tables
        if facts.kind == "factorized":
            return FactorizedPrior(tables)
        hyper_encoder = self.session("hyper_encoder") if compress else None
        return HyperPrior(tables, facts, self.session("prior"), hyper_encoder)

    def _own_sessions(self) -> _Sessions:
        """Sessions of this process; those of a parent are not used: their threads are not here."""
        state = self._sessions
        if state.process != os.getpid():
            state = self._sessions = _Sessions(os.getpid())
        return state

    @staged("open_graph")
    def _open(self, role: str) -> Session:
        options = replace(self._options, device="cpu", provider_options={}) if role == "prior" else self._options
        session = open_session(self._bundle.read(f"{role}.onnx"), options, role=f"{role}.onnx")
        if self._options.device == "auto" and role != "prior":
            device = "cpu" if session.provider == CPU else "cuda"
            settings = {} if device == "cpu" else self._options.provider_options
            self._options = replace(self._options, device=device, provider_options=settings)
        return session

    def _encode_slice(self, pixels: Pixels, output: str) -> Floats:
        stride = self._bundle.manifest.image.stride
        rows = pixels.shape[1] // stride[0]
        if rows == 1 or len(pixels) > 1 or pixels.shape[1] * pixels.shape[2] <= self._band_pixels():
            return self._run_encoder(pixels, output)
        parts = []
        for inner, outer in self._bands(rows, pixels.shape[2] * stride[0]):
            latent = self._run_encoder(pixels[:, outer.start * stride[0] : outer.stop * stride[0]], output)
            parts.append(latent[:, :, inner.start - outer.start : inner.stop - outer.start])
        return np.concatenate(parts, axis=2)

    def _decode_slice(self, latents: Floats) -> Pixels:
        stride = self._bundle.manifest.image.stride
        rows, width = latents.shape[2], latents.shape[3] * stride[1]
        if rows == 1 or len(latents) > 1 or rows * stride[0] * width <= self._band_pixels():
            return self._run_decoder(latents)
        pixels = np.empty((1, rows * stride[0], width, self._bundle.manifest.image.channels), np.uint8)
        for inner, outer in self._bands(rows, width * stride[0]):
            part = self._run_decoder(latents[:, :, outer.start : outer.stop])
            first, last = inner.start - outer.start, inner.stop - outer.start
            pixels[:, inner.start * stride[0] : inner.stop * stride[0]] = part[:, first * stride[0] : last * stride[0]]
        return pixels

    def _band_pixels(self) -> int:
        return self._bundle.manifest.limits.band_pixels

    def _bands(self, rows: int, pixels_per_row: int) -> list[tuple[range, range]]:
        """Latent rows of each band, without and with the rows that only lend it context."""
        overlap = self._bundle.manifest.limits.overlap
        step = max(self._band_pixels() // pixels_per_row, 1)
        bands = []
        for first in range(0, rows, step):
            last = min(first + step, rows)
            bands.append((range(first, last), range(max(first - overlap, 0), min(last + overlap, rows))))
        return bands

    def _run_encoder(self, pixels: Pixels, output: str) -> Floats:
        facts = self._bundle.manifest
        feeds = {"image": np.ascontiguousarray(pixels)}
        session = self.session("encoder")
        if output != "latent" and output not in session.outputs:
            raise BundleError(f"encoder.onnx gives {', '.join(session.outputs)}, expected {output} too; export again")
        with stage("encoder_graph"):
            latent = session.run(feeds)[0 if output == "latent" else session.outputs.index(output)]
        rows, columns = (size // stride for size, stride in zip(pixels.shape[1:3], facts.image.stride, strict=True))
        expected = (len(pixels), facts.latent_channels, rows, columns)
        if latent.shape != expected or latent.dtype != np.float32:
            raise BundleError(
                f"encoder.onnx gave {latent.dtype} {latent.shape}, expected float32 {expected}; export again"
            )
        return latent

    def _run_decoder(self, latents: Floats) -> Pixels:
        facts = self._bundle.manifest.image
        feeds = {"latent": np.ascontiguousarray(latents)}
        with stage("decoder_graph"):
            pixels = self.session("decoder").run(feeds)[0]
        rows, columns = (size * stride for size, stride in zip(latents.shape[2:], facts.stride, strict=True))
        expected = (len(latents), rows, columns, facts.channels)
        if pixels.shape != expected or pixels.dtype != np.uint8:
            raise BundleError(
                f"decoder.onnx gave {pixels.dtype} {pixels.shape}, expected uint8 {expected}; export again"
            )
        return pixels


def _in_slices(values: NDArray[Any], pixels_each: int, run: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[Any]:
    """Runs a graph over slices of a batch, each of at most SLICE_PIXELS, or of one entry."""
    step = max(SLICE_PIXELS // pixels_each, 1)
    parts = [run(values[first : first + step]) for first in range(0, len(values), step)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _pad(pixels: Pixels, height: int, width: int) -> Pixels:
    """Repeats the last row and column up to a size."""
    rows, columns = height - pixels.shape[1], width - pixels.shape[2]
    if not rows and not columns:
        return pixels
    return np.pad(pixels, ((0, 0), (0, rows), (0, columns), (0, 0)), mode="edge")


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
