"""Pictures of flat and saturated colors, which photographs hardly have: a network must be right on them, too."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aeedge.training import randomness

SIZE = 320
"""Rows and columns of a picture, in pixels."""

EXTREME_SHARE = 0.5
"""Share of the color components that are 0 or 255."""

SIDES = (48, 200)
"""Least and greatest side of a block, in pixels."""

PALETTE = 6
"""Colors among the blocks of one picture."""


@dataclass(frozen=True)
class Graphics:
    """Solid colors, gradients and blocks, drawn when they are asked for.

    Nothing finer: a step of training that sees text or pixel art learns little else.

    Attributes:
        seed: decides every picture.
        count: pictures in the set.
        channels: 1 or 3.
    """

    seed: int
    count: int
    channels: int = 3

    def __len__(self) -> int:
        return self.count

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return picture `index` as uint8 [320, 320, C]."""
        return graphic(self.seed, index, self.channels)

    def label(self, index: int) -> int | None:
        """Return None: the pictures have no classes."""
        return None


def graphic(seed: int, index: int, channels: int = 3) -> NDArray[np.uint8]:
    """Draw one picture: uint8 [320, 320, C], of a kind that its index decides."""
    random = randomness.generator(seed, index, "graphic")
    draw = (_solid, _gradient, _blocks)[index % 3]
    return np.clip(np.rint(draw(random, channels)), 0, 255).astype(np.uint8)


def _color(random: np.random.Generator, channels: int) -> NDArray[np.float64]:
    extreme = 255.0 * random.integers(0, 2, channels)
    return np.where(random.random(channels) < EXTREME_SHARE, extreme, random.uniform(0, 255, channels))


def _solid(random: np.random.Generator, channels: int) -> NDArray[np.float64]:
    return np.broadcast_to(_color(random, channels), (SIZE, SIZE, channels))


def _gradient(random: np.random.Generator, channels: int) -> NDArray[np.float64]:
    """Blend two colors along a line or around a point, over a part of the picture or far beyond it."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE] / SIZE - 0.5
    angle, reach = random.uniform(0, 2 * np.pi), float(np.exp(random.uniform(np.log(0.3), np.log(4))))
    if random.random() < 0.5:
        place = rows * np.sin(angle) + columns * np.cos(angle)
    else:
        place = np.hypot(rows - 0.5 * np.sin(angle), columns - 0.5 * np.cos(angle))
    share = np.clip(place / reach + 0.5, 0, 1)[:, :, None]
    blend: NDArray[np.float64] = _color(random, channels) * (1 - share) + _color(random, channels) * share
    return blend


def _blocks(random: np.random.Generator, channels: int) -> NDArray[np.float64]:
    """Tile the picture with squares of few colors, at any offset from the grid of the transform."""
    side, shift = int(random.integers(*SIDES)), random.integers(0, SIDES[1], 2)
    palette = np.stack([_color(random, channels) for _ in range(PALETTE)])
    count = (SIZE + SIDES[1]) // side + 1
    cells = random.integers(0, PALETTE, (count, count))
    rows, columns = ((np.arange(SIZE) + offset) // side for offset in shift)
    drawn: NDArray[np.float64] = palette[cells[rows[:, None], columns]]
    return drawn
