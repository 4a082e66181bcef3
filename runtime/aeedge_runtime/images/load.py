"""Loading of images from files, bytes, PIL or NumPy as 8-bit gray or RGB, with a note on every lossy conversion.

Rules: the EXIF orientation is applied and set to 1; alpha and the ICC profile are kept; deeper samples are scaled, not
clipped; the first of several frames is taken, or all (`load_pictures`), and the current one of an opened PIL image.
Every change beyond that is a note in plain words.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray

from ..arrays import SupportsArray, SupportsDlpack, array_of, whole
from ..binary import EXPECTED, BinarySource, is_binary, name_of, open_source
from ..errors import ArgumentError, ImageError, LimitError
from ..files import NotRegularFileError, reason
from ..limits import MAX_PIXELS
from .frame_limits import check_scans, check_tiles, survey
from .picture import Picture, check_array, check_picture, check_size, match_channels, split_alpha

if TYPE_CHECKING:
    from PIL.Image import Image


KINDS = (
    "PNG",
    "JPEG",
    "GIF",
    "BMP",
    "DIB",
    "PPM",
    *("WEBP", "TIFF", "AVIF", "JPEG2000"),
    "PCX",
    "QOI",
    "SGI",
    "TGA",
)
"""Kinds of files, by Pillow's names. EPS is left out because it is a program on which Pillow starts Ghostscript, ICO
because Pillow decodes it before its size can be checked."""

MAX_FILE_BYTES = (1 << 31) - 1
"""Bytes of an image file that is not a path, and so is read into memory."""

_EARLY_KINDS = 6
"""The number of kinds in Pillow's first few plugins; the others are imported when none of those fits."""

ArrayLike: TypeAlias = "SupportsArray | SupportsDlpack"
"""An array of another library, such as a PyTorch tensor on the CPU."""

Source: TypeAlias = "BinarySource | Image | NDArray[Any] | ArrayLike | Picture"


def load_picture(
    source: Source,
    channels: int | None = None,
    *,
    max_pixels: int = MAX_PIXELS,
    value_range: tuple[float, float] | None = None,
) -> Picture:
    """Load one image.

    Args:
        source: path, bytes of a file, open file, PIL image, Picture, or uint8 array [H, W], [H, W, 1 | 2 | 3 | 4] (the
            last of 2 or 4 channels is alpha), also of another library.
        channels: 1 or 3, what the model takes; None for those of the image.
        max_pixels: most pixels; checked before any pixel is decoded.
        value_range: what becomes black and white, for files of float or 32-bit gray.

    Raises:
        ImageError: damaged, cut short, not an image, or of an unsupported kind; float or 32-bit gray of no stated range
            beyond 0..1 and 16 bits.
        LimitError: too many pixels.
        ArgumentError: another type, dtype or shape.
    """
    max_pixels = whole("max_pixels", max_pixels)
    if isinstance(source, Picture):
        check_picture(source, max_pixels)
        return match_channels(source, channels)
    if isinstance(source, np.ndarray):
        picture = _from_array(source, max_pixels)
    elif _is_pil(source):
        picture = _from_opened(source, "PIL image", max_pixels, value_range=value_range)
    elif is_binary(source):
        with _opened(source) as (image, file, name):
            check_scans(image, file, name)
            picture = _from_opened(image, name, max_pixels, value_range=value_range)
            if getattr(image, "is_animated", False):
                note = "the first of several frames was taken"
                picture = replace(picture, notes=(*picture.notes, note))
    else:
        picture = _from_array(array_of(source, "image"), max_pixels)
    return match_channels(picture, channels)


def probe_size(source: BinarySource) -> tuple[int, int]:
    """Return rows and columns of the image that `load_picture` would read, without decoding it.

    Args:
        source: path, bytes of a file, or an open file.

    Raises:
        ImageError, LimitError: as `load_picture`; damage to the samples is not found.
    """
    with _opened(source) as (image, _, name):
        from .modes import is_sideways

        check_size(*image.size, MAX_PIXELS, name)
        width, height = image.size
        return (width, height) if is_sideways(image) else (height, width)


def _is_pil(source: object) -> TypeGuard[Image]:
    """Return whether an object is an image of Pillow or of a plugin, without importing Pillow."""
    names = [(kind.__module__, kind.__name__) for kind in type(source).__mro__]
    return ("PIL.Image", "Image") in names


def load_pictures(
    source: BinarySource,
    channels: int | None = None,
    *,
    max_pixels: int = MAX_PIXELS,
    value_range: tuple[float, float] | None = None,
) -> Iterator[Picture]:
    """Load every frame of an animation, or every page of a TIFF file, one after the other.

    Args:
        source: path, bytes of a file, or an open file.
        channels: as for `load_picture`.
        max_pixels: most pixels of all frames together; checked before the first is decoded.
        value_range: as for `load_picture`.

    Raises:
        ImageError, LimitError: as `load_picture`, also in the middle of the frames.
        ArgumentError: another type: an image in memory is one frame.
    """
    if isinstance(source, np.ndarray) or not is_binary(source):
        raise ArgumentError(f"frames: found {type(source).__name__}, expected {EXPECTED}")
    max_pixels = whole("max_pixels", max_pixels)
    with _opened(source) as (image, file, name):
        found = survey(image, file, name)
        count, before = found.count, 0
        if count > 1:
            _check_frames(found.pixels, count, max_pixels, name)
        check_scans(image, file, name)
        for number in range(count):
            image.seek(number)
            if count > 1:  # not every file tells the sizes of all frames in advance
                _check_frames(before + image.width * image.height, number + 1, max_pixels, name)
            directory = found.directories[number] if found.directories else None
            picture = _from_opened(image, name, max_pixels, directory, value_range)
            before += picture.pixels[..., 0].size
            yield match_channels(picture, channels)


def _check_frames(pixels: int, count: int, max_pixels: int, name: str) -> None:
    if pixels > max_pixels:
        raise LimitError(
            f"{name}: {count} frames have {pixels} pixels, the limit is {max_pixels}; "
            "raise max_pixels (--max-pixels), or take the first frame alone"
        )


def _from_array(array: NDArray[Any], max_pixels: int) -> Picture:
    check_array(array, "[H, W] or [H, W, C]")
    planes = array[..., None] if array.ndim == 2 else array
    if planes.ndim != 3 or not 1 <= planes.shape[2] <= 4:
        raise ArgumentError(f"image array: shape is {array.shape}, expected [H, W] or [H, W, C] with C from 1 to 4")
    check_size(planes.shape[1], planes.shape[0], max_pixels, "image array")
    pixels, alpha = split_alpha(planes)
    return Picture(pixels=pixels, alpha=alpha, gray=pixels.shape[2] == 1)


@contextlib.contextmanager
def _opened(source: BinarySource) -> Iterator[tuple[Image, BinaryIO, str]]:
    """Yield an image of one of KINDS, not decoded yet, its file and its name; translate the errors of Pillow."""
    from PIL import UnidentifiedImageError

    name = name_of(source, "image")
    file = _open_source(source, name)
    try:
        with file, _open(file, name) as image:
            yield image, file, name
    except (ImageError, LimitError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{name}: not an image of a known kind ({', '.join(KINDS)}); open others yourself and pass the PIL image"
        ) from error
    except Exception as error:  # Pillow's plugins raise a dozen types on damaged files, not only OSError
        raise _fault(name, error) from error


def _open_source(source: BinarySource, name: str) -> BinaryIO:
    try:
        return open_source(source, MAX_FILE_BYTES, "image")
    except ArgumentError:
        raise
    except NotRegularFileError as error:
        raise ImageError(f"{name}: {error.strerror}; read a pipe yourself and pass its bytes") from error
    except (OSError, ValueError) as error:
        raise ImageError(f"{name}: cannot be read ({reason(error)})") from error


def _open(file: BinaryIO, name: str) -> Image:
    """Open a file as `PIL.Image.open` does, but only KINDS, and without Pillow's own limit of pixels.

    Raises:
        ImageError: the file is empty.
        UnidentifiedImageError: no kind fits. Errors of Pillow's plugins pass through.
    """
    from PIL import Image, UnidentifiedImageError

    prefix = file.read(16)
    if not prefix:
        raise ImageError(f"{name}: the file is empty, expected an image")
    for number, kind in enumerate(KINDS):
        if number in (0, _EARLY_KINDS):
            (Image.init if number else Image.preinit)()
        open_kind, accepts = Image.OPEN.get(kind, (None, None))
        with contextlib.suppress(SyntaxError, IndexError, TypeError, struct.error):  # a plugin refuses the file
            if open_kind and (not accepts or accepts(prefix) is True):
                file.seek(0)
                return open_kind(file, "")
    raise UnidentifiedImageError


def _from_opened(
    image: Image,
    name: str,
    max_pixels: int,
    directory: int | None = None,
    value_range: tuple[float, float] | None = None,
) -> Picture:
    from .metadata import tiff_tags
    from .modes import read_plain

    check_size(*image.size, max_pixels, name)
    check_tiles(tiff_tags(image), max_pixels, name)
    try:
        planes, icc, exif, notes = read_plain(image, directory, value_range)
    except (ImageError, LimitError, MemoryError):
        raise
    except Exception as error:  # as in _opened
        raise _fault(name, error) from error
    pixels, alpha = split_alpha(planes)
    return Picture(pixels, alpha, icc, exif, pixels.shape[2] == 1, notes)


def _fault(name: str, error: Exception) -> ImageError | LimitError:
    """Return our error for an error of Pillow."""
    from PIL import Image

    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return LimitError(f"{name}: {_one_line(error)}; decode it yourself and pass the pixels as an array")
    return ImageError(f"{name}: damaged or cut short ({_one_line(error)})")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
