"""Adapt two ONNX files: find layout, stride and patches by running them."""

from pathlib import Path

import torch

from aeedge_export.errors import ExportError
from aeedge_export.networks.geometry import Geometry, Size, find_geometry
from aeedge_export.networks.onnx_half import OnnxHalf, read_onnx
from aeedge_export.networks.onnx_pair import OnnxAutoencoder
from aeedge_export.networks.pixels import Pixels, pixel_range
from aeedge_export.networks.torch_pair import finished, raw_run
from aeedge_runtime.errors import ArgumentError


def adapt_onnx(
    encoder: Path | str | bytes,
    decoder: Path | str | bytes,
    *,
    pixels: Pixels = "unit",
    latent: int | str | None = None,
    output: int | str | None = None,
    size: Size | None = None,
    tile: Size | None = None,
    whole: int | None = None,
) -> OnnxAutoencoder:
    """Return two ONNX graphs as an autoencoder that can be exported.

    Args:
        encoder: file or bytes of the graph from image to latent; uint8 or float pixels, `[N, C, H, W]` or
            `[N, H, W, C]`.
        decoder: file or bytes of the graph from latent to image.
        pixels: the numbers of a float graph; see `adapt`.
        latent: position or name of the encoder's output that is the latent; None for the first.
        output: the same of the decoder's image.
        size: rows and columns of the only image that the graphs take; None to find it.
        tile: see `adapt`.
        whole: see `adapt`.

    Raises:
        ArgumentError: options that cannot be combined, or an unknown pixel range.
        InputError: a file is missing or no ONNX file.
        ExportError: the graphs cannot work as a codec; the message says what to change.
    """
    if sum(option is not None for option in (size, tile, whole)) > 1:
        raise ArgumentError("size, tile and whole cannot be combined; give one of them")
    first, second = _half(encoder, "encoder", latent), _half(decoder, "decoder", output)
    scale, shape = pixel_range(pixels), first.takes[1]
    layouts = _layouts(shape)
    if not layouts:
        raise ExportError(
            f"{first.name}: takes {list(shape)}, expected [N, C, H, W] or [N, H, W, C] with 1 or 3 channels"
        )
    probe = OnnxAutoencoder(first, second, Geometry(3, (1, 1), 1), scale)
    sides = [shape[1:3] if last else shape[2:4] for last in layouts]
    fixed = next((side for side in sides if all(isinstance(length, int) for length in side)), None)
    channels = [count for last in layouts if isinstance(count := shape[3 if last else 1], int)] or [3, 1]
    with torch.no_grad():
        geometry = find_geometry(raw_run(probe), channels, layouts=layouts, patch=size or tile or fixed)
    model = OnnxAutoencoder(first, second, geometry, scale).eval()
    return finished(model, whole)


def _half(source: Path | str | bytes, role: str, choice: str | int | None) -> OnnxHalf:
    name = f"the {role}" if isinstance(source, bytes) else str(source)
    return OnnxHalf(read_onnx(source, name), name, choice)


def _layouts(shape: tuple[int | str | None, ...]) -> list[bool]:
    """Return the values of `image_last` that a shape allows: channels are 1 or 3, or free."""
    if len(shape) != 4:
        return []
    sizes = {last: shape[3 if last else 1] for last in (False, True)}
    fixed = [last for last, size in sizes.items() if size in (1, 3)]
    return fixed or [last for last, size in sizes.items() if not isinstance(size, int)]
