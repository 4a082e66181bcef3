"""Geometry of running networks: padding to the stride, patches, and tiles of large images with their context."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..arrays import Pixels
from ..images.picture import to_gray

TILE_PIXELS = 1 << 20
"""Most pixels of one run of a graph over a part of a large image, context included. With a receptive field of 3 latent
rows and columns, 22 % of what `photo` computes is context. Tiles of twice the size have 15 %, but each pixel takes a
sixth longer, because activations leave the caches."""


@dataclass(frozen=True)
class Tile:
    """Latent rows and columns of one run of a graph: those it computes, and those with their context."""

    rows: range
    columns: range
    outer_rows: range
    outer_columns: range


def tiles(rows: range, h: int, w: int, stride: tuple[int, int], band_pixels: int, overlap: int) -> list[Tile]:
    """Return what the graphs take at once of some latent rows of an image: all of them, or tiles of a large image.

    Args:
        rows: the rows to compute.
        h: latent rows of the image.
        w: latent columns of the image.
        stride: rows and columns of pixels per latent position.
        band_pixels: most pixels that go through a graph whole.
        overlap: latent rows and columns that the networks see around a position.
    """
    most = band_pixels // (stride[0] * stride[1])
    if len(rows) == h and h * w <= most:
        return [Tile(rows, range(w), rows, range(w))]
    most = min(most, TILE_PIXELS // (stride[0] * stride[1]))
    bands = pieces(rows, h, math.isqrt(most), overlap)
    strips = pieces(range(w), w, most // max(len(outer) for _, outer in bands), overlap)
    return [Tile(band[0], strip[0], band[1], strip[1]) for band in bands for strip in strips]


def pieces(part: range, size: int, most: int, overlap: int) -> list[tuple[range, range]]:
    """Cut a part of 0..size into pieces of about equal length, each without and with its context.

    A piece with its context is at most `most` long, unless there would then be more context than piece.
    """
    inner = max(most - 2 * overlap, overlap, 1)
    if min(part.stop + overlap, size) - max(part.start - overlap, 0) <= most:
        inner = len(part)
    step = -(-len(part) // -(-len(part) // inner))
    cut = [range(first, min(first + step, part.stop)) for first in range(part.start, part.stop, step)]
    return [(piece, range(max(piece.start - overlap, 0), min(piece.stop + overlap, size))) for piece in cut]


def whole(part: range) -> slice:
    """Return a range as a slice."""
    return slice(part.start, part.stop)


def within(part: range, outer: range) -> slice:
    """Return the slice of a part in an array that starts where `outer` does."""
    return slice(part.start - outer.start, part.stop - outer.start)


def scaled(part: range, stride: int) -> slice:
    """Return latent rows or columns as a slice of pixels."""
    return slice(part.start * stride, part.stop * stride)


def fill(target: Pixels, decoded: Pixels) -> None:
    """Copy a decoder's pixels, cropped, and as luma if the target has a single channel."""
    cropped = decoded[:, : target.shape[1], : target.shape[2]]
    target[:] = cropped if target.shape[3] == decoded.shape[3] else to_gray(cropped)


def window(pixels: Pixels, rows: range, columns: range, stride: tuple[int, int]) -> Pixels:
    """Return the pixels of latent rows and columns, padded where they end beyond the image."""
    part = pixels[:, scaled(rows, stride[0]), scaled(columns, stride[1])]
    return pad(part, len(rows) * stride[0], len(columns) * stride[1])


def pad_to_stride(pixels: Pixels, stride: tuple[int, int]) -> Pixels:
    """Pad images, uint8 [N, H, W, C], to multiples of a stride; see `pad`."""
    rows, columns = (-(-size // step) * step for size, step in zip(pixels.shape[1:3], stride, strict=True))
    return pad(pixels, rows, columns)


def pad(pixels: Pixels, rows: int, columns: int) -> Pixels:
    """Pad images, uint8 [N, H, W, C], to a size by repeating the last row and column."""
    count, height, width, channels = pixels.shape
    if height == rows and width == columns:
        return pixels
    padded = np.empty((count, rows, columns, channels), np.uint8)
    padded[:, :height, :width] = pixels
    padded[:, height:, :width] = pixels[:, -1:]
    padded[:, :, width:] = padded[:, :, width - 1 : width]
    return padded


def cut_patches(pixels: Pixels, patch: tuple[int, int]) -> Pixels:
    """Cut images, their size a multiple of the patch, into patches: uint8 [N * h * w, patch rows, patch columns, C]."""
    count, height, width, channels = pixels.shape
    h, w = height // patch[0], width // patch[1]
    if h == w == 1:
        return pixels
    parts = pixels.reshape(count, h, patch[0], w, patch[1], channels).transpose(0, 1, 3, 2, 4, 5)
    return np.ascontiguousarray(parts).reshape(-1, patch[0], patch[1], channels)


def join_patches(patches: Pixels, count: int, h: int, w: int) -> Pixels:
    """Undo `cut_patches`: return images, uint8 [count, h * patch rows, w * patch columns, C]."""
    if h == w == 1:
        return patches
    _, rows, columns, channels = patches.shape
    parts = patches.reshape(count, h, w, rows, columns, channels).transpose(0, 1, 3, 2, 4, 5)
    return np.ascontiguousarray(parts).reshape(count, h * rows, w * columns, channels)
