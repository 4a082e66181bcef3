"""Every kind of Pillow image as 8-bit planes: gray or RGB, with or without alpha, and notes on what that changed."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from io import BytesIO
from itertools import islice
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from ..errors import ImageError
from ..limits import MAX_SECTION_BYTES, SLAB_PIXELS
from .metadata import DESCRIPTIVE, FOLDERS, ORIENTATION, Directories, of_tiff, upright

SRGB_GAMMA = 0.45455
"""What a PNG says that is meant for sRGB."""

_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
"""TIFF tags: bits of each sample; 0 where white is zero; 1 for whole numbers without a sign."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_EXIF_PREFIX = b"Exif\x00\x00"
_PLAIN = ("L", "LA", "RGB", "RGBA")
_SIMPLE = {
    "La": ("LA", "premultiplied alpha was undone"),
    "RGBa": ("RGBA", "premultiplied alpha was undone"),
    "RGBX": ("RGB", "the unused fourth channel was dropped"),
    "PA": ("RGBA", "the palette was expanded to RGB with alpha"),
    "1": ("L", "1-bit pixels were expanded to 8-bit gray"),
    "YCbCr": ("RGB", "YCbCr was converted to RGB"),
    "HSV": ("RGB", "HSV was converted to RGB"),
    "CMYK": ("RGB", "CMYK was converted to RGB"),
}
_COLOUR_SPACES = {b"GRAY": ("L", "LA"), b"RGB ": ("RGB", "RGBA")}


def read_plain(
    image: Image.Image, directory: int | None = None
) -> tuple[NDArray[np.uint8], bytes | None, bytes | None, tuple[str, ...]]:
    """Decodes an opened image.

    Args:
        image: its frame or page at hand.
        directory: where that page's directory lies in a TIFF file, if that is known.

    Returns:
        Planes, uint8 [H, W, 1 | 2 | 3 | 4]; ICC profile or None; EXIF with orientation 1, or None; notes.

    Raises:
        ImageError: a kind of image that is not supported. Pillow's own errors pass through.
    """
    deep = _deep_samples(image)
    notes: list[str] = []
    described = _tiff_exif(image, directory, notes)
    step = _gray_step(image)
    image.load()
    turn, exif = _read_exif(image, notes)
    exif = exif or described
    icc = _read_icc(image, notes)
    if step > 1 and isinstance(level := image.info.get("transparency"), int):
        image = image.copy()  # the other one is the caller's
        image.info["transparency"] = level * step
    plain, icc = _convert(image, icc, deep, notes)
    if deep:
        notes.append("16-bit samples were reduced to 8 bits")
    if turn in _TURNS:
        plain = plain.transpose(_TURNS[turn])
    if image.info.get("xmp"):
        notes.append("XMP metadata was dropped")
    gamma = image.info.get("gamma")
    if isinstance(gamma, float) and not icc and abs(gamma - SRGB_GAMMA) > 0.01:
        notes.append(f"gamma {gamma:g} was dropped: samples are taken as sRGB")
    return _planes(plain), icc, exif, tuple(notes)


def is_sideways(image: Image.Image) -> bool:
    """Return whether the EXIF orientation of an opened image swaps its rows and columns."""
    turn, _ = _read_exif(image, [])
    return turn in (5, 6, 7, 8)


def _planes(image: Image.Image) -> NDArray[np.uint8]:
    """Samples of an image, uint8 [H, W, C]; in slabs of rows, as Pillow makes two copies of what it gives at once."""
    planes = np.empty((image.height, image.width, len(image.getbands())), np.uint8)
    rows = max(SLAB_PIXELS // image.width, 1)
    for first in range(0, image.height, rows):
        last = min(first + rows, image.height)
        slab = image if last - first == image.height else image.crop((0, first, image.width, last))
        planes[first:last] = np.asarray(slab, np.uint8).reshape(last - first, *planes.shape[1:])
    return planes


def _deep_samples(image: Image.Image) -> bool:
    """Whether Pillow reduces 16-bit colour to 8 bits while it decodes."""
    if image.mode not in _PLAIN:
        return False
    parts = [getattr(tile, "args", tile[-1]) for tile in getattr(image, "tile", ())]
    if image.format == "PPM":  # mode and largest sample
        return any(isinstance(part, tuple) and part[-1] > 255 for part in parts)
    return any(";16" in str(part) for part in parts)


def _gray_step(image: Image.Image) -> int:
    """Between two levels of gray of 2 or 4 bits: Pillow scales pixels by it, but not the level that is transparent."""
    raw_modes = [getattr(tile, "args", tile[-1]) for tile in getattr(image, "tile", ())]
    return {"L;2": 85, "L;4": 17}.get(str(raw_modes[0]), 1) if raw_modes else 1


def _convert(image: Image.Image, icc: bytes | None, deep: bool, notes: list[str]) -> tuple[Image.Image, bytes | None]:
    mode = image.mode
    deep_gray = mode.startswith(("I", "F"))
    keyed = "transparency" in image.info
    if keyed and (deep or deep_gray):  # a colour of 16 bits: samples of 8 cannot tell it
        notes.append("the transparent colour was dropped")
        keyed = False
    if mode in ("CMYK", "LAB") and (converted := _through_profile(image, icc)) is not None:
        notes.append(f"{mode} was converted to sRGB through its ICC profile")
        return converted, None
    if deep_gray:
        plain = Image.fromarray(_deep_gray(image, notes))
    elif mode == "P" or (mode in ("1", "L", "RGB") and keyed):
        plain = _expand(image, notes)
    elif mode in _PLAIN:
        plain = image
    elif mode in _SIMPLE:
        target, note = _SIMPLE[mode]
        notes.append(note)
        plain = image.convert(target)
    else:
        raise ImageError(f"image mode {mode} is not supported; convert it to RGB first")
    if icc and plain.mode not in _COLOUR_SPACES.get(icc[16:20], ()):
        notes.append("the ICC profile was dropped: it is for another colour space than the pixels")
        icc = None
    return plain, icc


def _expand(image: Image.Image, notes: list[str]) -> Image.Image:
    """A palette, or one colour marked as transparent, as plain channels."""
    gray = image.mode in ("1", "L")
    if image.has_transparency_data:
        notes.append("the palette or transparent colour was expanded to channels with alpha")
        colour = image.convert("RGBA")
        return colour.convert("LA") if gray else colour
    notes.append("the palette was expanded to RGB")
    return image.convert("RGB")


def _deep_gray(image: Image.Image, notes: list[str]) -> NDArray[np.uint8]:
    """8-bit gray of an image of deeper gray; what Pillow leaves to be looked up in the tags of a TIFF is looked up."""
    values, mode, tags = np.asarray(image), image.mode, tiff_tags(image)
    bits = tags.get(_BITS, (0,))[0]
    if mode == "I" and bits == 32 and tags.get(_SAMPLE_FORMAT, (1,))[0] == 1:
        values = values.view(np.uint32)
    if mode == "I" and image.format == "PPM":
        mode = "I;16"  # to which Pillow scales it
    gray = _scaled(values, mode, notes, 4095 if bits == 12 else 65535)
    return 255 - gray if tags.get(_PHOTOMETRIC) == 0 else gray


def _scaled(values: NDArray[Any], mode: str, notes: list[str], full: int = 65535) -> NDArray[np.uint8]:
    """8-bit gray of 16-bit, 32-bit or float gray: the range is scaled, nothing is clipped.

    Raises:
        ImageError: NaN or infinity.
    """
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):  # NaN is its own least and greatest
        raise ImageError("gray values hold NaN or infinity")
    if mode.startswith("I;16") or (mode == "I" and low >= 0 and 255 < high <= 65535):
        low, high, text = 0.0, float(full), f"{full.bit_length()}-bit gray was scaled to 8 bits"
    elif mode == "I" and low >= 0 and high <= 255:
        low, high, text = 0.0, 255.0, "32-bit gray within 0..255 was taken as 8-bit"
    elif mode == "F" and low >= 0 and high <= 1:
        low, high, text = 0.0, 1.0, "float gray within 0..1 was scaled to 8 bits"
    else:
        text = f"32-bit gray was scaled from {low:g}..{high:g} to 0..255"
    notes.append(text)
    gray = np.empty(values.shape, np.uint8)
    rows = max(SLAB_PIXELS // values.shape[1], 1)
    for first in range(0, len(values), rows):
        slab = values[first : first + rows].astype(np.float64)
        gray[first : first + rows] = np.rint((slab - low) * (255.0 / ((high - low) or 1.0)))
    return gray


def _through_profile(image: Image.Image, icc: bytes | None) -> Image.Image | None:
    """Converts to sRGB by the colour engine; None where the engine or a fitting profile is missing."""
    try:
        source: Any = ImageCms.createProfile("LAB") if image.mode == "LAB" else None
        source = ImageCms.ImageCmsProfile(BytesIO(icc)) if icc and image.mode == "CMYK" else source
        if source is None:
            return None
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, ImportError, OSError, ValueError):
        return None


def _read_icc(image: Image.Image, notes: list[str]) -> bytes | None:
    icc = image.info.get("icc_profile")
    if not isinstance(icc, bytes) or not icc:
        return None
    if not 128 <= len(icc) <= MAX_SECTION_BYTES:
        notes.append(f"the ICC profile of {len(icc)} bytes was dropped: expected 128 bytes to 16 MiB")
        return None
    return icc


def _tiff_exif(image: Image.Image, directory: int | None, notes: list[str]) -> bytes | None:
    """What the tags of a TIFF file tell of a photo; before the pixels are loaded, as Pillow may close the file then."""
    tags = tiff_tags(image)
    if not any(tag in tags for tag in DESCRIPTIVE | FOLDERS):
        return None
    file = image.fp  # type: ignore[attr-defined]  # an image of a file has one until it is closed
    try:
        if file is None:
            raise ValueError("their file is closed")
        place = file.tell()
        try:
            return of_tiff(file, _directory(file, image.tell()) if directory is None else directory)
        finally:
            file.seek(place)
    except (OSError, ValueError) as error:
        notes.append(f"the EXIF tags were dropped: {error}")
        return None


def _directory(file: BinaryIO, page: int) -> int | None:
    """Where the directory of a page of a TIFF file lies."""
    return next(islice(Directories(file).chain(), page, None), None)


def tiff_tags(image: Image.Image) -> Mapping[int, Any]:
    """The tags of a TIFF page; none of other images."""
    tags: Mapping[int, Any] = image.tag_v2 if image.format == "TIFF" and hasattr(image, "tag_v2") else {}
    return tags


def _read_exif(image: Image.Image, notes: list[str]) -> tuple[int, bytes | None]:
    """Orientation 1..8, and the EXIF block as of an image that is turned already."""
    raw = image.info.get("exif") or _text_exif(image.info)
    raw = raw.removeprefix(_EXIF_PREFIX) if isinstance(raw, bytes) else b""
    try:
        exif = image.getexif()
        turn = exif.get(ORIENTATION, 1)
        if raw and ORIENTATION not in exif:  # as text, not all of which Pillow reads
            turn = _loaded(raw).get(ORIENTATION, 1)
        if turn in _TURNS and raw:
            raw = _upright(raw)
    except (
        Exception
    ):  # a damaged block raises struct.error, KeyError, SyntaxError and others; the pixels are still good
        notes.append("the EXIF block is damaged and was dropped")
        return 1, None
    if len(raw) > MAX_SECTION_BYTES:
        notes.append(f"the EXIF block of {len(raw)} bytes was dropped: more than 16 MiB")
        return turn, None
    return turn, raw or None


def _text_exif(info: Mapping[Any, Any]) -> bytes | None:
    """The EXIF block that ImageMagick writes into a PNG: as hexadecimal text, after three lines of what it is."""
    for name in ("Raw profile type exif", "Raw profile type APP1"):
        text = info.get(name)
        if isinstance(text, str):
            with contextlib.suppress(ValueError):
                raw = bytes.fromhex("".join(text.split("\n")[3:]))
                if raw.startswith((_EXIF_PREFIX, b"II*\0", b"MM\0*")):
                    return raw
    return None


def _loaded(raw: bytes) -> Image.Exif:
    exif = Image.Exif()
    exif.load(raw)
    return exif


def _upright(raw: bytes) -> bytes:
    """The block with its orientation cleared: in place, or written anew by Pillow where that is not possible."""
    try:
        return upright(raw)
    except ValueError:
        exif = _loaded(raw)
        if ORIENTATION in exif:
            del exif[ORIENTATION]
        return exif.tobytes().removeprefix(_EXIF_PREFIX)
