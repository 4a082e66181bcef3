"""Opens images for everything that works on pixels alone, and reports in one way what was changed or left out."""

import warnings
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from aeedge.figures import count, with_name
from aeedge_runtime import AeedgeWarning, load_picture
from aeedge_runtime.errors import InputError
from aeedge_runtime.images.load import Source as ImageSource

Pixels = NDArray[np.uint8]

NAMED_FILES = 3
"""Files that a warning names; the others are counted."""


def read_pixels(source: ImageSource, channels: int) -> tuple[Pixels, tuple[str, ...]]:
    """Return an image as a codec would see it, without alpha.

    Args:
        source: path, bytes of a file, or array.
        channels: 1 or 3; images are converted.

    Returns:
        uint8 [H, W, channels], and what was changed, a sentence each.

    Raises:
        InputError: it is not a readable image.
    """
    picture = load_picture(source, channels)
    return picture.pixels, (*picture.notes, *(("alpha is left out",) if picture.alpha is not None else ()))


class ReadingReport:
    """What was changed in the images of a set, and which files could not be read.

    Attributes:
        notes: each change, and in how many images it was made.
        failures: each file that was left out, and why.
    """

    def __init__(self) -> None:
        self.notes: Counter[str] = Counter()
        self.failures: dict[str, str] = {}

    def fail(self, name: str, error: InputError) -> None:
        """Add a file that could not be read."""
        self.failures[name] = with_name(name, str(error))

    def warn(self, stacklevel: int = 2) -> None:
        """Warn once about each kind of change and once about all files that were left out.

        Args:
            stacklevel: of the warnings, as seen from the caller.
        """
        if self.failures:
            named = "; ".join(list(self.failures.values())[:NAMED_FILES])
            more = f", and {len(self.failures) - NAMED_FILES} more" if len(self.failures) > NAMED_FILES else ""
            message = f"{count(len(self.failures), 'file')} left out: {named}{more}"
            warnings.warn(message, AeedgeWarning, stacklevel=stacklevel + 1)
        for note, images in self.notes.items():
            warnings.warn(f"{count(images, 'image')}: {note}", AeedgeWarning, stacklevel=stacklevel + 1)
