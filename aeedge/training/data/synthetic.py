"""Images that need no network and no files: rendered digits and scenes of overlapping color discs."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from aeedge.training import randomness

DIGIT_SIZE = 28
"""Rows and columns of a rendered digit, in pixels, as in MNIST."""

OVERSAMPLING = 4
"""Digits are drawn four times larger and averaged down, which gives soft edges at any position."""

PHOTO_SIZE = 320
"""Rows and columns of a synthetic scene, in pixels."""

DISCS = 300
"""Discs in a scene."""


def digit(seed: int, index: int) -> tuple[NDArray[np.uint8], int]:
    """Render one digit with random size, slant, thickness, position, brightness and noise.

    Returns:
        uint8 [28, 28, 1], white on black, and the digit 0..9 that it shows.
    """
    random = randomness.generator(seed, index, "digit")
    label = int(random.integers(10))
    side = DIGIT_SIZE * OVERSAMPLING
    font = ImageFont.load_default(size=float(random.uniform(20, 27)) * OVERSAMPLING)
    canvas = Image.new("L", (side, side))
    shift = random.uniform(-2.5, 2.5, 2) * OVERSAMPLING
    stroke = int(random.integers(0, OVERSAMPLING + 2))
    place = (side / 2 + float(shift[0]), side / 2 + float(shift[1]))
    ImageDraw.Draw(canvas).text(place, str(label), fill=255, font=font, anchor="mm", stroke_width=stroke)
    slant, turn = random.uniform(-0.35, 0.35), random.uniform(-0.15, 0.15)
    middle = side / 2
    matrix = (1, slant, -slant * middle, turn, 1, -turn * middle)
    canvas = canvas.transform((side, side), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    small = np.asarray(canvas.reduce(OVERSAMPLING), np.float32) * random.uniform(0.75, 1.0)
    noise = random.normal(0, random.uniform(0, 8), small.shape) * (small > 0)
    return np.clip(np.rint(small + noise), 0, 255).astype(np.uint8)[:, :, None], label


def digits(seed: int, first: int, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Render digits `first` .. `first + count - 1`: uint8 [count, 28, 28, 1] and labels [count]."""
    images = np.zeros((count, DIGIT_SIZE, DIGIT_SIZE, 1), np.uint8)
    labels = np.zeros(count, np.int64)
    for place in range(count):
        images[place], labels[place] = digit(seed, first + place)
    return images, labels


def photo(seed: int, index: int, size: int = PHOTO_SIZE) -> NDArray[np.uint8]:
    """Render a dead-leaves scene: shaded discs that hide each other, with the power spectrum of photos.

    "Occlusion models for natural images" (IJCV 2001). Large discs are drawn first and radii are spread evenly over
    their logarithm, so that every scale covers a part of the scene.

    Returns:
        uint8 [size, size, 3].
    """
    random = randomness.generator(seed, index, "photo")
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    scene = np.empty((size, size, 3), np.float32)
    scene[:] = random.uniform(40, 215, 3)
    smallest, largest = 3.0, size / 2.5
    palette = random.uniform(0, 255, (6, 3))
    for place in range(DISCS):
        radius = largest * (smallest / largest) ** ((place + random.uniform()) / DISCS)
        y, x = random.uniform(-radius / 2, size + radius / 2, 2)
        top, bottom = (int(np.clip(y + side * (radius + 1), 0, size)) for side in (-1, 1))
        left, right = (int(np.clip(x + side * (radius + 1), 0, size)) for side in (-1, 1))
        color = palette[random.integers(6)] + random.normal(0, 25, 3)
        slope = random.normal(0, 25 / radius, 2)
        if top == bottom or left == right:
            continue
        dy, dx = rows[top:bottom, left:right] - y, columns[top:bottom, left:right] - x
        cover = np.clip(radius - np.hypot(dy, dx), 0, 1)[:, :, None]
        shade = (slope[0] * dy + slope[1] * dx)[:, :, None] + color
        window = scene[top:bottom, left:right]
        window += cover * (shade.astype(np.float32) - window)
    scene += random.normal(0, random.uniform(0, 4), scene.shape)
    return np.clip(np.rint(scene), 0, 255).astype(np.uint8)
