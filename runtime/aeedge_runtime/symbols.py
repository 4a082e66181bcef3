"""Latents to the chunks of a stream and back; the prior, the coder and the symbol hash meet here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .bundle import Bundle
from .chunk import encode_chunk, hash_symbols
from .container import Stream
from .errors import StreamError
from .layout import chunk_spans
from .prior import Prior, SymbolReader, SymbolWriter, restore_latent
from .stages import stage, staged

Floats = NDArray[np.float32]


@staged("quantise")
def write_chunks(latents: Floats, quality: int, bundle: Bundle, prior: Prior) -> tuple[tuple[bytes, ...], int]:
    """Codes latents.

    Args:
        latents: float32 [N, c, h, w], finite.
        quality: 1..100.
        bundle: tables and geometry.
        prior: model of the symbols, with its compressing side.

    Returns:
        Payload of each chunk, and the symbol hash.
    """
    bank = bundle.tables.bank
    count, _, h, w = latents.shape
    chunks, symbol_hash = [], 0
    for span in chunk_spans(bundle.geometry, count, h, w):
        images, rows = _slices(span.first_image, span.images), _slices(span.first_row, span.rows)
        side = SymbolWriter(bank)
        prior.walk(quality, span, w, latents[images, :, rows], side)
        with stage("entropy_encode"):
            chunks.append(encode_chunk(side.passes, bank))
            for _, symbols in side.passes:
                symbol_hash = hash_symbols(symbols, symbol_hash)
    return tuple(chunks), symbol_hash


@staged("dequantise")
def read_chunks(stream: Stream, bundle: Bundle, prior: Prior) -> tuple[Floats, NDArray[np.int16]]:
    """Decodes the chunks of a stream whose number was checked.

    Returns:
        Latents, float32 [N, c, h, w], and all symbols in coding order, int16 [n].

    Raises:
        StreamError: a chunk breaks a rule of the format, or the symbols do not match their hash.
    """
    h, w = bundle.geometry.latent_size(stream.height, stream.width)
    latents = np.empty((stream.count, bundle.geometry.latent_channels, h, w), np.float32)
    found: list[NDArray[np.int16]] = []
    for span, payload in zip(chunk_spans(bundle.geometry, stream.count, h, w), stream.chunks, strict=True):
        images, rows = _slices(span.first_image, span.images), _slices(span.first_row, span.rows)
        side = SymbolReader(payload, bundle.tables.bank)
        coded = prior.walk(stream.quality, span, w, None, side)
        latents[images, :, rows] = restore_latent(bundle.tables, stream.quality, *coded)
        found += side.passes
    symbols = np.concatenate(found)
    if hash_symbols(symbols) != stream.symbol_hash:
        raise StreamError("stream: the decoded symbols do not match their hash; the stream is damaged, get it again")
    return latents, symbols


def _slices(first: int, count: int) -> slice:
    return slice(first, first + count)
