"""Chooses the tiles that a lossless coder may do better than the network, from the pixels alone.

A tile is *plain* if more than half of its neighbors are equal and it has few colors. A blown-out sky is plain, too; so
only plain tiles whose unequal neighbors differ by much are *cores*, and plain tiles that touch a core, over any number
of plain tiles, join it. Whether the tiles pay is for the encoder to find out: it codes both ways and compares.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Pixels
from ..stream.tile_grid import Map, Rectangle, TileGrid

FLAT_SHARE = 0.5
"""Share of equal neighbors, to the right and below, above which a tile may be plain."""

COLOR_SHARE = 1 / 8
"""Colors per pixel up to which a tile may be plain."""

HARD_STEP = 12.0
"""Mean difference of unequal neighbors, in levels per channel, from which a plain tile is a core. Of 18,440 tiles of
photographs 10 have it, of a page of text nearly all."""

SCREEN_STEP = 4
"""Every fourth row is looked at before a tile is: those of photographs drop out there."""

SCREEN_SHARE = 0.35
"""Share of equal neighbors in these rows up to which a tile is not looked at."""

NEARLY_ALL = 0.8
"""Share of chosen tiles from which the whole image is worth a try: a tile with text that is left out costs more than
ten stored ones."""

SMALL_PIXELS = 64 * 64
"""Images of so few pixels are always tried as a whole: a lossless coder takes a fraction of a millisecond."""

FEW_COLORS = {1: 64, 3: 256}
"""Colors of an image up to which it is tried as a whole, by its channels. Gray photographs have up to 256."""

COLOR_SAMPLE = 4096
"""Pixels that are looked at before all colors of an image are counted."""

REPEATED_SHARE = 0.5
"""Share of distinct rows, or columns, up to which an image is tried as a whole: textures, stripes, enlarged pixels."""

REPEATED_ROWS = 64
"""Rows on which columns are compared."""

ENTROPY_ROWS = 16
"""Of every sixteenth row the entropy is measured."""

ENTROPY_SAMPLES = 1 << 22
"""Samples, about, that the entropy of a large image is measured on at most: counting takes eight bytes for each."""

LEAST_SHARE = 0.5
"""Share of the entropy of second differences that a lossless file takes at least, where nothing repeats itself."""


@dataclass(frozen=True)
class Candidates:
    """Candidates for storing.

    Attributes:
        tiles: bool [tile rows of all images, tile columns]: tiles that may be stored; none True for none.
        whole: whether all tiles together are worth a try.
    """

    tiles: Map
    whole: bool


def find_candidates(pixels: Pixels) -> Candidates:
    """Return what may be stored of images of one size, uint8 [N, H, W, C]."""
    count, height, width, channels = pixels.shape
    grid = TileGrid(count, height, width)
    tall = pixels.reshape(count * height, width, channels)
    plain, hard = _judge_tiles(tall, grid)
    tiles = grow(plain & hard, plain, grid.rows)
    whole = (
        len(tall) * width <= SMALL_PIXELS
        or bool(plain.all())
        or float(tiles.mean()) >= NEARLY_ALL
        or _has_few_colors(tall)
        or _repeats(tall)
    )
    return Candidates(tiles, whole)


def grow(cores: Map, plain: Map, rows: int) -> Map:
    """Return the plain tiles connected to a core, over sides and corners, in each image of `rows` tile rows."""
    if not cores.any():
        return cores
    padded = np.zeros((len(cores) // rows, rows + 2, cores.shape[1] + 2), np.bool_)
    found = padded[:, 1:-1, 1:-1]
    found[:] = cores.reshape(found.shape)
    allowed = plain.reshape(found.shape)
    before = 0
    while (now := int(found.sum())) != before:
        before = now
        wide = padded[:, :, :-2] | padded[:, :, 1:-1] | padded[:, :, 2:]
        found[:] = (wide[:, :-2] | wide[:, 1:-1] | wide[:, 2:]) & allowed
    return found.reshape(cores.shape)


def _judge_tiles(tall: Pixels, grid: TileGrid) -> tuple[Map, Map]:
    """Which tiles are plain, and which of these have hard steps."""
    plain, hard = np.zeros(grid.shape, np.bool_), np.zeros(grid.shape, np.bool_)
    for row, column in np.argwhere(_screen(tall, grid)).tolist():
        part = grid.pixels(Rectangle(row, row + 1, column, column + 1))
        step = _hard_step(tall[part.top : part.bottom, part.left : part.right])
        plain[row, column], hard[row, column] = step is not None, (step or 0) >= HARD_STEP
    return plain, hard


def _screen(tall: Pixels, grid: TileGrid) -> Map:
    """Tiles of which a few rows have enough equal neighbors."""
    if grid.width == 1:
        return np.ones(grid.shape, np.bool_)
    edges = grid.row_edges()
    heights = np.diff(np.append(edges, len(tall)))
    offsets = np.arange(SCREEN_STEP // 2, heights.max(), SCREEN_STEP)
    picked = np.minimum(edges[:, None] + offsets, (edges + heights - 1)[:, None])
    equal = np.zeros(grid.shape, np.int64)
    for number in range(len(offsets)):
        rows = tall[picked[:, number]]
        same = rows[:, 1:, 0] == rows[:, :-1, 0]
        for channel in range(1, tall.shape[2]):
            same &= rows[:, 1:, channel] == rows[:, :-1, channel]
        equal += np.add.reduceat(same, _starts(grid), axis=1, dtype=np.int64)
    widths = np.diff(np.append(_starts(grid), grid.width - 1))
    return equal > SCREEN_SHARE * len(offsets) * widths


def _starts(grid: TileGrid) -> NDArray[np.int64]:
    """First pair of neighbors of every tile column."""
    return np.minimum(grid.column_edges(), grid.width - 2)


def _hard_step(tile: Pixels) -> float | None:
    """Mean difference of unequal neighbors of a tile, uint8 [h, w, C]; None where it is not plain."""
    codes = _codes(tile).reshape(tile.shape[:2])
    right, below = codes[:, 1:] != codes[:, :-1], codes[1:] != codes[:-1]
    unequal = int(np.count_nonzero(right)) + int(np.count_nonzero(below))
    if unequal and unequal >= (1 - FLAT_SHARE) * (right.size + below.size):
        return None
    if not unequal:
        return 0.0
    if len(np.unique(codes)) > max(COLOR_SHARE * codes.size, 2):
        return None
    signed = tile.astype(np.int16)
    across, down = np.abs(signed[:, 1:] - signed[:, :-1]).sum(), np.abs(signed[1:] - signed[:-1]).sum()
    step: float = float(across + down) / (unequal * tile.shape[2])
    return step


def _codes(pixels: Pixels) -> NDArray[np.uint32]:
    """Colors of [..., C] as numbers, uint32 [n]."""
    flat = pixels.reshape(-1, pixels.shape[-1])
    codes = flat[:, 0].astype(np.uint32)
    for channel in range(1, flat.shape[1]):
        codes = codes << np.uint32(8) | flat[:, channel]
    return codes


def _has_few_colors(tall: Pixels) -> bool:
    most = FEW_COLORS[tall.shape[2]]
    flat = tall.reshape(-1, tall.shape[2])
    step = max(len(flat) // COLOR_SAMPLE, 1)
    if len(np.unique(_codes(flat[::step]))) > most:
        return False
    seen = np.empty(0, np.uint32)
    for first in range(0, len(flat), 1 << 20):
        seen = np.union1d(seen, _codes(flat[first : first + (1 << 20)]))
        if len(seen) > most:
            return False
    return True


def _repeats(tall: Pixels) -> bool:
    """Whether at most half of the rows, or of the columns, differ from all others."""
    sample = tall[:: max(len(tall) // REPEATED_ROWS, 1)].transpose(1, 0, 2)
    return _distinct(tall) <= REPEATED_SHARE * len(tall) or _distinct(sample) <= REPEATED_SHARE * len(sample)


def _distinct(rows: Pixels) -> int:
    """How many rows differ from all others."""
    return len({zlib.crc32(row.tobytes()) for row in rows})


def least_bytes(tall: Pixels) -> int:
    """Return about the fewest bytes of a lossless file of an image, uint8 [H, W, C], that does not repeat itself."""
    if min(tall.shape[:2]) == 1:
        return 0
    step = max(ENTROPY_ROWS, tall.size // ENTROPY_SAMPLES)
    above, rows = tall[:-1:step], tall[1::step]
    change = rows - above  # modulo 256, as is what follows
    counts = np.bincount((change[:, 1:] - change[:, :-1]).ravel(), minlength=256)
    shares = counts[counts > 0] / counts.sum()
    bits = float(-(shares * np.log2(shares)).sum())
    return int(LEAST_SHARE * bits * tall.size / 8)
