"""The geometry of a network, found by running it: layout, channels, stride, patches."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from aeedge.configuration import Configuration
from aeedge_export.errors import ExportError
from aeedge_export.networks.refusals import Failure, Stage, failure_of, refusal

TRIED_SIZES = ((128, 192), (192, 128))
"""Images that a convolutional network must take and give back: multiples of 64, and not square."""

SMALL_GRIDS = ((1, 1), (2, 3), (3, 5), (7, 2))
"""Latent positions down to one, which must work too."""

MULTIPLES = (1, 2, 4, 8)
"""Strides that an image's sides must be multiples of at most."""

PATCHES = (28, 32, 48, 64, 84, 96, 112, 128, 160, 192, 224, 256, 320, 384, 512)
"""Sides of a fixed input that are tried."""

LARGEST_LATENT = 65_536
"""Latent channels that a bundle may have."""

Size = tuple[int, int]
Run = Callable[[Tensor, bool], tuple[Tensor, Tensor]]
"""Runs both halves: image `[N, C, H, W]` in 0..1 and whether the network takes it as `[N, H, W, C]`; returns the latent
and the image in the network's own layout."""


@dataclass(frozen=True)
class Geometry(Configuration):
    """The geometry of a network.

    Attributes:
        channels: image channels, 1 or 3.
        stride: rows and columns of pixels per latent position; the patch of a patched network.
        latent_channels: channels of the latent.
        patched: whether the network takes one patch at a time.
        patch_latent: shape of the latent of one patch, whose elements become channels.
        cell: latent positions a side that become channels of one, because sides must be multiples of several strides.
        image_last: whether the encoder takes `[N, H, W, C]`.
        latent_last: whether the latent is `[N, h, w, c]`.
        output_last: whether the decoder gives `[N, H, W, C]`.
    """

    channels: int
    stride: Size
    latent_channels: int
    patched: bool = False
    patch_latent: tuple[int, ...] = ()
    cell: int = 1
    image_last: bool = False
    latent_last: bool = False
    output_last: bool = False

    @property
    def family(self) -> str:
        """What a bundle's reader must know: "dense" takes patches, "conv" images."""
        return "dense" if self.patched else "conv"

    def __str__(self) -> str:
        """Describe it in one line."""
        rows, columns = self.stride
        if self.patched:
            return f"patches of {rows}x{columns}, latent of a patch {list(self.patch_latent)}"
        cells = f" (cells of {self.cell}x{self.cell} positions)" if self.cell > 1 else ""
        return f"convolutional, stride {rows}x{columns}{cells}, {self.latent_channels} latent channels"


@dataclass(frozen=True)
class _Seen:
    """One run: size of the image, latent and image as the network gave them."""

    size: Size
    latent: Tensor
    output: Tensor


def find_geometry(
    run: Run, channels: Sequence[int], *, layouts: Sequence[bool] = (False, True), patch: Size | None = None
) -> Geometry:
    """Return the geometry of a network.

    Args:
        run: runs both halves.
        channels: numbers of image channels to try.
        layouts: values of `image_last` to try.
        patch: rows and columns that the network takes, if it is known to take no others.

    Raises:
        ExportError: no size gets through both halves and comes back as it was.
    """
    failures: list[Failure] = []
    sizes = [patch] if patch else [(side, side) for side in PATCHES]
    for image_last in layouts:
        for number in channels:
            found = None if patch else _convolutional(run, number, image_last, failures)
            if found:
                return found
    for image_last in layouts:
        for number in channels:
            for size in sizes:
                found = _patched(run, number, image_last, size, failures)
                if found:
                    return found
    raise refusal(failures)


def _try(run: Run, shape: tuple[int, int, int, int], image_last: bool, failures: list[Failure]) -> _Seen | None:
    size = shape[2], shape[3]
    try:
        latent, output = run(torch.rand(shape, generator=torch.Generator().manual_seed(0)), image_last)
    except ExportError:
        raise
    except Exception as error:  # any error of a stranger's code means that this shape is not the right one
        failures.append(failure_of(error, shape))
        return None
    return _Seen(size, latent, output)


def _convolutional(run: Run, channels: int, image_last: bool, failures: list[Failure]) -> Geometry | None:
    seen = [_try(run, (1, channels, *size), image_last, failures) for size in TRIED_SIZES]
    found = [one for one in seen if one is not None]
    if len(found) < len(seen):
        return None
    for latent_last in (False, True):
        for output_last in (False, True):
            stride = _stride(found, channels, latent_last, output_last)
            if stride:
                latent_channels = found[0].latent.shape[3 if latent_last else 1]
                plain = Geometry(channels, stride, latent_channels, False, (), 1, image_last, latent_last, output_last)
                return _with_cells(run, plain, failures)
    for one in found:
        shapes = f"latent {list(one.latent.shape)}, back {list(one.output.shape)}"
        failures.append(Failure(Stage.SIZE, f"image {[1, channels, *one.size]}: {shapes}"))
    return None


def _stride(seen: Sequence[_Seen], channels: int, latent_last: bool, output_last: bool) -> Size | None:
    """Return the stride that all runs show, None if they do not agree or an image does not come back."""
    strides = set()
    for one in seen:
        if one.latent.ndim != 4 or one.output.ndim != 4 or _grid(one.output, output_last) != one.size:
            return None
        if one.output.shape[3 if output_last else 1] != channels:
            return None
        grid = _grid(one.latent, latent_last)
        if any(size % positions for size, positions in zip(one.size, grid, strict=True)):
            return None
        strides.add((one.size[0] // grid[0], one.size[1] // grid[1]))
    return strides.pop() if len(strides) == 1 else None


def _grid(values: Tensor, last: bool) -> Size:
    rows, columns = values.shape[1:3] if last else values.shape[2:4]
    return int(rows), int(columns)


def _with_cells(run: Run, plain: Geometry, failures: list[Failure]) -> Geometry:
    """Return the geometry with the smallest cell that always works: an image's sides must be multiples of it."""
    rows, columns = plain.stride
    for cell in MULTIPLES:
        sizes = [(h * cell * rows, w * cell * columns) for h, w in SMALL_GRIDS]
        seen = [_try(run, (1, plain.channels, *size), plain.image_last, failures) for size in sizes]
        if any(one is None for one in seen):
            continue
        found = [one for one in seen if one is not None]
        if _stride(found, plain.channels, plain.latent_last, plain.output_last) != plain.stride:
            continue
        stride, channels = (rows * cell, columns * cell), plain.latent_channels * cell**2
        return replace(plain, stride=stride, latent_channels=channels, cell=cell)
    raise ExportError(
        f"no multiple of the stride {rows}x{columns} up to {MULTIPLES[-1]} always works; give tile (rows, columns) to "
        f"run on tiles of a fixed size. {failures[-1].reason if failures else ''}"
    )


def _patched(run: Run, channels: int, image_last: bool, size: Size, failures: list[Failure]) -> Geometry | None:
    seen = _try(run, (2, channels, *size), image_last, failures)
    seen = seen or _try(run, (1, channels, *size), image_last, failures)
    if seen is None:
        return None
    count = len(seen.latent)
    if seen.output.numel() != count * channels * size[0] * size[1]:
        failures.append(Failure(Stage.SIZE, f"{size[0]}x{size[1]} comes back as {list(seen.output.shape[1:])}"))
        return None
    shape = tuple(seen.latent.shape[1:])
    if math.prod(shape) > LARGEST_LATENT:
        raise ExportError(f"the latent of a {size[0]}x{size[1]} tile has {math.prod(shape)} values, at most 65536 fit")
    output_last = seen.output.ndim == 4 and _grid(seen.output, True) == size and seen.output.shape[3] == channels
    output_last = output_last and not (_grid(seen.output, False) == size and seen.output.shape[1] == channels)
    return Geometry(channels, size, math.prod(shape), True, shape, 1, image_last, False, output_last)
