"""Conversion of every kind of Pillow image to 8-bit planes: gray or RGB, with or without alpha, with notes."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from ..errors import ImageError
from ..limits import SLAB_PIXELS
from .metadata import TURNS, read_exif, read_icc, read_tiff_exif, tiff_tags

SRGB_GAMMA = 0.45455
"""Gamma that PNG files meant for sRGB declare."""

_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
"""TIFF tags: bits per sample; 0 if white is zero; 1 for unsigned integers."""

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
_COLOR_SPACES = {b"GRAY": ("L", "LA"), b"RGB ": ("RGB", "RGBA")}


def read_plain(
    image: Image.Image, directory: int | None = None, value_range: tuple[float, float] | None = None
) -> tuple[NDArray[np.uint8], bytes | None, bytes | None, tuple[str, ...]]:
    """Decode an opened image.

    Args:
        image: positioned at a frame or page.
        directory: offset of that page's directory in a TIFF file, if known.
        value_range: what becomes black and white, of 32-bit and float gray.

    Returns:
        Planes, uint8 [H, W, 1 | 2 | 3 | 4]; ICC profile or None; EXIF with orientation 1, or None; notes.

    Raises:
        ImageError: a kind of image that is not supported, or 32-bit samples of no stated range. Pillow's own errors
            pass through.
    """
    deep = _deep_samples(image)
    notes: list[str] = []
    described = read_tiff_exif(image, directory, notes)
    step = _gray_step(image)
    image.load()
    turn, exif = read_exif(image, notes)
    exif = exif or described
    icc = read_icc(image, notes)
    if step > 1 and isinstance(level := image.info.get("transparency"), int):
        image = image.copy()  # the original is the caller's
        image.info["transparency"] = level * step
    plain, icc = _convert(image, icc, deep, value_range, notes)
    if deep:
        notes.append("16-bit samples were reduced to 8 bits")
    if turn in TURNS:
        plain = plain.transpose(TURNS[turn])
    if image.info.get("xmp"):
        notes.append("XMP metadata was dropped")
    gamma = image.info.get("gamma")
    if isinstance(gamma, float) and not icc and abs(gamma - SRGB_GAMMA) > 0.01:
        notes.append(f"gamma {gamma:g} was dropped: samples are taken as sRGB")
    return _planes(plain), icc, exif, tuple(notes)


def is_sideways(image: Image.Image) -> bool:
    """Return whether the EXIF orientation of an opened image swaps its rows and columns."""
    turn, _ = read_exif(image, [])
    return turn in (5, 6, 7, 8)


def _planes(image: Image.Image) -> NDArray[np.uint8]:
    """Return samples, uint8 [H, W, C]; in slabs of rows, because Pillow makes two copies of what it converts."""
    planes = np.empty((image.height, image.width, len(image.getbands())), np.uint8)
    rows = max(SLAB_PIXELS // image.width, 1)
    for first in range(0, image.height, rows):
        last = min(first + rows, image.height)
        slab = image if last - first == image.height else image.crop((0, first, image.width, last))
        planes[first:last] = np.asarray(slab, np.uint8).reshape(last - first, *planes.shape[1:])
    return planes


def _deep_samples(image: Image.Image) -> bool:
    """Return whether Pillow reduces 16-bit color to 8 bits while it decodes."""
    if image.mode not in _PLAIN:
        return False
    parts = [getattr(tile, "args", tile[-1]) for tile in getattr(image, "tile", ())]
    if image.format == "PPM":  # mode and largest sample
        return any(isinstance(part, tuple) and part[-1] > 255 for part in parts)
    return any(";16" in str(part) for part in parts)


def _gray_step(image: Image.Image) -> int:
    """Return the step between gray levels of 2 or 4 bits: Pillow scales pixels by it, but not the transparent level."""
    raw_modes = [getattr(tile, "args", tile[-1]) for tile in getattr(image, "tile", ())]
    return {"L;2": 85, "L;4": 17}.get(str(raw_modes[0]), 1) if raw_modes else 1


def _convert(
    image: Image.Image, icc: bytes | None, deep: bool, value_range: tuple[float, float] | None, notes: list[str]
) -> tuple[Image.Image, bytes | None]:
    mode = image.mode
    deep_gray = mode.startswith(("I", "F"))
    keyed = "transparency" in image.info
    clear = image.info.get("transparency") if mode.startswith("I;16") else None
    if keyed and (deep or deep_gray) and not isinstance(clear, int):  # Pillow has reduced the samples to 8 bits
        notes.append("the transparent color was dropped")
        keyed = False
    if mode in ("CMYK", "LAB") and (converted := _through_profile(image, icc)) is not None:
        notes.append(f"{mode} was converted to sRGB through its ICC profile")
        return converted, None
    if deep_gray:
        plain = Image.fromarray(_deep_gray(image, value_range, notes))
        if isinstance(clear, int):
            notes.append("the transparent level was expanded to alpha")
            plain.putalpha(Image.fromarray(np.where(np.asarray(image) == clear, 0, 255).astype(np.uint8)))
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
    if icc and plain.mode not in _COLOR_SPACES.get(icc[16:20], ()):
        notes.append("the ICC profile was dropped: it is for another color space than that of the pixels")
        icc = None
    return plain, icc


def _expand(image: Image.Image, notes: list[str]) -> Image.Image:
    """Expand a palette, or one transparent color, to plain channels."""
    gray = image.mode in ("1", "L")
    if image.has_transparency_data:
        notes.append("the palette or transparent color was expanded to channels with alpha")
        color = image.convert("RGBA")
        return color.convert("LA") if gray else color
    notes.append("the palette was expanded to RGB")
    return image.convert("RGB")


def _deep_gray(image: Image.Image, value_range: tuple[float, float] | None, notes: list[str]) -> NDArray[np.uint8]:
    """Return 8-bit gray of deeper gray, with the TIFF tags that Pillow ignores."""
    values, mode, tags = np.asarray(image), image.mode, tiff_tags(image)
    bits = tags.get(_BITS, (0,))[0]
    if mode == "I" and bits == 32 and tags.get(_SAMPLE_FORMAT, (1,))[0] == 1:
        values = values.view(np.uint32)
    if mode == "I" and image.format == "PPM":
        mode = "I;16"  # to which Pillow scales it
    gray = _scaled(values, mode, value_range, notes, 4095 if bits == 12 else 65535)
    return 255 - gray if tags.get(_PHOTOMETRIC) == 0 else gray


def _scaled(
    values: NDArray[Any], mode: str, value_range: tuple[float, float] | None, notes: list[str], full: int = 65535
) -> NDArray[np.uint8]:
    """Scale 16-bit, 32-bit or float gray to 8 bits.

    Raises:
        ImageError: NaN or infinity, or samples of 32 bits outside of what is usual whose range nobody states: scaled by
            their own extremes, two files would not be comparable.
    """
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):  # NaN is both minimum and maximum
        raise ImageError("gray values hold NaN or infinity")
    if value_range is not None and not mode.startswith("I;16"):
        clipped = ", and clipped" if low < value_range[0] or high > value_range[1] else ""
        low, high = value_range
        text = f"{'float' if mode == 'F' else '32-bit'} gray was scaled from {low:g}..{high:g} to 0..255{clipped}"
    elif mode.startswith("I;16") or (mode == "I" and low >= 0 and 255 < high <= 65535):
        low, high, text = 0.0, float(full), f"{full.bit_length()}-bit gray was scaled to 8 bits"
    elif mode == "I" and low >= 0 and high <= 255:
        low, high, text = 0.0, 255.0, "32-bit gray within 0..255 was taken as 8-bit"
    elif mode == "F" and low >= 0 and high <= 1:
        low, high, text = 0.0, 1.0, "float gray within 0..1 was scaled to 8 bits"
    else:
        raise ImageError(
            f"{'float' if mode == 'F' else '32-bit'} gray from {low:g} to {high:g}, expected samples in 0..1 or up to "
            "65535; state what is black and white with --range LOW:HIGH (value_range=(LOW, HIGH))"
        )
    notes.append(text)
    gray = np.empty(values.shape, np.uint8)
    rows = max(SLAB_PIXELS // values.shape[1], 1)
    for first in range(0, len(values), rows):
        slab = values[first : first + rows].astype(np.float64)
        gray[first : first + rows] = np.clip(np.rint((slab - low) * (255.0 / ((high - low) or 1.0))), 0, 255)
    return gray


def _through_profile(image: Image.Image, icc: bytes | None) -> Image.Image | None:
    """Convert to sRGB by its profile; return None if the color engine or a fitting profile is missing."""
    try:
        source: Any = ImageCms.createProfile("LAB") if image.mode == "LAB" else None
        source = ImageCms.ImageCmsProfile(BytesIO(icc)) if icc and image.mode == "CMYK" else source
        if source is None:
            return None
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, ImportError, OSError, ValueError):
        return None
