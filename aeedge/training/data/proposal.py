"""Proposes a preset for a folder of images."""

from pathlib import Path

import numpy as np

from aeedge.figures import printable, spread
from aeedge.reading import read_pixels
from aeedge.training.data.folder import image_paths
from aeedge_runtime.errors import InputError

LOOKED_AT = 12
"""Images of the folder that decide."""

SMALL_SIDE = 64
"""Sides up to which images are small."""


def propose(folder: Path) -> str:
    """Return a sentence that names a preset for the images of a folder, and why.

    Raises:
        ArgumentError: there are no images.
    """
    paths = image_paths(folder)
    shapes, gray = [], True
    for index in spread(len(paths), LOOKED_AT):
        try:
            pixels = read_pixels(paths[index], 3)[0]
        except InputError:
            continue
        shapes.append(pixels.shape[:2])
        gray = gray and bool((pixels == pixels[..., :1]).all())
    if not shapes:
        return "name a PRESET"
    rows, columns = (int(np.median(sizes)) for sizes in zip(*shapes, strict=True))
    words = f"for {'gray' if gray else 'color'} images of about {columns}x{rows}"
    data = f"--data {printable(folder)}"
    if gray and rows == columns == 28:
        return f"{words}: aeedge train dense-mnist {data}"
    if min(rows, columns) <= SMALL_SIDE:
        preset = "gray" if gray else "conv-photo"
        return f"{words}, with data.crop a multiple of 16: aeedge train {preset} {data} --set data.crop=[32,32]"
    if gray:
        return f"{words}: aeedge train gray {data}"
    return f"{words}, fine-tune the photo codec: aeedge train photo --from-pretrained {data}"
