"""Any picture: bytes, PSNR and largest error of `photo` with stored tiles and without, and of common formats.

Classes that it makes (text, charts, gradients, pixel art, noise, pages with photographs) or finds (scikit-image's
samples, our own plots, folders of images). Near-lossless rows give the bytes at a bound on the error.

python benchmarks/any_picture.py [--quality 60] [--images FOLDER ...] [--photos FOLDER]
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, features
from record import RESULTS, save

from aeedge.machine import environment
from aeedge_runtime import Codec, load_picture, stream_info
from aeedge_runtime.images.psnr import psnr_db

Pixels = NDArray[np.uint8]

ROOT = Path(__file__).parents[1]
BOUNDS = (1, 2, 4, 8, 16)
"""Errors of the near-lossless rows."""

FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "png": ("PNG", {"optimize": True}),
    "webp_lossless": ("WEBP", {"lossless": True}),
    "webp_q90": ("WEBP", {"quality": 90, "method": 4}),
    "avif_q80": ("AVIF", {"quality": 80, "speed": 6}),
    "jxl_lossless": ("JXL", {"lossless": True}),
}


def text(height: int, width: int, size: int, seed: int, ink: Any = (0, 0, 0), paper: Any = (255, 255, 255)) -> Pixels:
    """Unlike words in Pillow's own font."""
    generator = random.Random(seed)
    words = (ROOT / "runtime" / "FORMAT.md").read_text().split()
    image = Image.new("RGB", (width, height), paper)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    for top in range(4, height - size, int(1.4 * size)):
        left = 6.0
        while left < width - 40:
            word = generator.choice(words)
            draw.text((left, top), word, ink, font=font)
            left += font.getlength(word + " ")
    return np.asarray(image)


def chart(height: int, width: int, seed: int) -> Pixels:
    """Saturated bars with a grid."""
    generator = random.Random(seed)
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    for top in range(40, height - 20, 50):
        draw.line((20, top, width - 10, top), fill=(180, 180, 180))
        draw.text((2, top), str(top), (0, 0, 0))
    for left in range(30, width - 40, 50):
        color = tuple(generator.randrange(256) for _ in range(3))
        draw.rectangle((left, generator.randrange(40, height - 60), left + 35, height - 20), fill=color)
    return np.asarray(image)


def page(photographs: list[Pixels], seed: int) -> Pixels:
    """Text around two photographs and a button."""
    found = text(720, 960, 13, seed).copy()
    for photograph, (top, left) in zip(photographs, ((40, 50), (300, 520)), strict=True):
        part = photograph[:300, :400]
        found[top : top + part.shape[0], left : left + part.shape[1]] = part
    image = Image.fromarray(found)
    ImageDraw.Draw(image).rounded_rectangle((700, 40, 880, 90), 10, fill=(30, 90, 220))
    return np.asarray(image)


def made(photographs: list[Pixels]) -> Iterator[tuple[str, Pixels]]:
    """Pictures of each class that need no file, and pages with the given photographs."""
    noise = np.random.default_rng(0)
    columns, rows = np.meshgrid(np.linspace(0, 255, 640), np.linspace(0, 255, 480))
    ramp = np.stack([columns, rows, 255 - (columns + rows) / 2], axis=2)
    art = noise.integers(0, 256, (16, 3), np.uint8)[noise.integers(0, 16, (48, 64))]
    yield "solid blue", np.full((480, 640, 3), (0, 0, 255), np.uint8)
    yield "gradients", ramp.round().astype(np.uint8)
    yield "pixel art, enlarged", art.repeat(8, 0).repeat(8, 1)
    yield "noise", noise.integers(0, 256, (240, 320, 3), np.uint8)
    yield "text", text(480, 640, 12, 0)
    yield "text in blue on cream", text(480, 640, 14, 1, (20, 40, 160), (250, 240, 215))
    yield "chart", chart(480, 640, 3)
    for place in range(0, len(photographs) - 1, 2):
        yield f"page with photographs {place // 2 + 1}", page(photographs[place : place + 2], place)


def found(folders: list[Path]) -> Iterator[tuple[str, Pixels]]:
    """Images of folders, and what comes with scikit-image, if it is there, and with this project."""
    places = sorted((ROOT / "benchmarks" / "results").glob("*.png"))
    try:
        from skimage import data
    except ImportError:
        pass
    else:
        places += sorted(Path(data.__file__).parent.glob("*.png"))
    for folder in folders:
        places += sorted(place for place in folder.rglob("*") if place.suffix in (".png", ".webp", ".gif", ".bmp"))
    for place in places:
        picture = load_picture(place, 3)
        yield f"{place.parent.name}/{place.name}", np.ascontiguousarray(picture.pixels)


def classic(pixels: Pixels) -> dict[str, Any]:
    """Bytes of each format that this Pillow writes, with PSNR and largest error of those that lose something."""
    Image.init()
    rows: dict[str, Any] = {}
    for name, (kind, options) in FORMATS.items():
        if kind not in Image.SAVE or (kind in ("WEBP", "AVIF") and not features.check(kind.lower())):
            continue
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, kind, **options)
        decoded = np.asarray(Image.open(buffer).convert("RGB"))
        rows[name] = {"bytes": len(buffer.getvalue()), **loss(pixels, decoded)}
    return rows


def loss(pixels: Pixels, decoded: Pixels) -> dict[str, Any]:
    """PSNR, None where nothing is lost, and the largest error."""
    largest = int(np.abs(pixels.astype(np.int16) - decoded).max())
    return {"psnr_db": round(psnr_db(pixels[None], decoded[None]), 2) if largest else None, "largest_error": largest}


def ours(codec: Codec, pixels: Pixels, quality: int, **options: Any) -> dict[str, Any]:
    """Return the same of our stream, with the processor time of compressing it."""
    start = time.process_time()
    data = codec.compress(pixels, **({} if "max_error" in options else {"quality": quality}), **options)
    spent = time.process_time() - start
    facts = stream_info(data)
    return {
        "bytes": len(data),
        "stored_tiles": facts.stored_tiles,
        "tiles": facts.tiles,
        "compress_cpu_s": round(spent, 3),
        **loss(pixels, codec.decompress(data)),
    }


def seams(pixels: Pixels, decoded: Pixels, stored: NDArray[np.bool_]) -> dict[str, float]:
    """Mean step of the error across the borders of stored tiles, and between neighbors that are not stored."""
    error = decoded.astype(np.int16) - pixels
    step = np.abs(np.diff(error, axis=1)).mean(axis=2)
    border, inside = stored[:, 1:] != stored[:, :-1], ~(stored[:, 1:] | stored[:, :-1])
    return {"across_seams": round(float(step[border].mean()), 2), "inside": round(float(step[inside].mean()), 2)}


def stored_pixels(codec: Codec, data: bytes) -> NDArray[np.bool_]:
    """Which pixels of a single image are stored, bool [H, W]."""
    from aeedge_runtime.stream.container import read_stream

    stream = read_stream(data, geometry_for=lambda _: codec.bundle.geometry)
    if stream.tiles is None:
        return np.zeros((stream.height, stream.width), np.bool_)
    return stream.tiles.grid.pixels_of(stream.tiles.held)[0]


def measure(
    codec: Codec, pictures: Iterator[tuple[str, Pixels]], quality: int, say: Callable[[str], None]
) -> list[Any]:
    """Return a row for each picture."""
    rows = []
    for name, pixels in pictures:
        codec.encode(pixels)  # opens the session
        row = {
            "name": name,
            "size": [pixels.shape[1], pixels.shape[0]],
            "aeedge": ours(codec, pixels, quality),
            "aeedge_without_tiles": ours(codec, pixels, quality, stored_tiles=False),
            **classic(pixels),
        }
        if 0 < row["aeedge"]["stored_tiles"] < row["aeedge"]["tiles"]:
            data = codec.compress(pixels, quality)
            row["seams"] = seams(pixels, codec.decompress(data), stored_pixels(codec, data))
        rows.append(row)
        say(f"{name}: {row['aeedge']} without tiles {row['aeedge_without_tiles']['bytes']}")
    return rows


def near_lossless(codec: Codec, pictures: list[tuple[str, Pixels]], say: Callable[[str], None]) -> list[Any]:
    """Bytes at each bound, beside what is exact."""
    rows = []
    for name, pixels in pictures:
        bounded = {str(error): ours(codec, pixels, 0, max_error=error) for error in BOUNDS}
        for error, row in bounded.items():
            if row["largest_error"] > int(error):
                raise RuntimeError(f"{name}: off by {row['largest_error']}, at most {error} is allowed")
        exact = {
            key: row["bytes"] for key, row in classic(pixels).items() if key in ("png", "webp_lossless", "jxl_lossless")
        }
        rows.append({"name": name, "bytes": {error: row["bytes"] for error, row in bounded.items()}, **exact})
        say(f"{name}: {rows[-1]}")
    return rows


def main() -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quality", type=int, default=60)
    parser.add_argument("--images", type=Path, nargs="*", default=[])
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--out", type=Path, default=RESULTS / "any_picture.json")
    arguments = parser.parse_args()
    codec = Codec.load("photo", threads=1)
    places = sorted(arguments.photos.iterdir())[:6] if arguments.photos else []
    photographs = [np.ascontiguousarray(load_picture(place, 3).pixels) for place in places]
    pictures = [*made(photographs), *found(arguments.images)]
    near = [(f"photograph {number + 1}", pixels) for number, pixels in enumerate(photographs[:3])]
    near += [(name, pixels) for name, pixels in pictures if name in ("text", "chart", "page with photographs 1")]
    facts = {
        "environment": environment(sys.argv),
        "quality": arguments.quality,
        "pictures": measure(codec, iter(pictures), arguments.quality, print),
        "near_lossless": near_lossless(codec, near, print),
    }
    save(arguments.out, facts)


if __name__ == "__main__":
    main()
