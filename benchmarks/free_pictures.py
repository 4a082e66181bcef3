"""Free pictures for training, out of Debian packages: photographs and saturated graphics of up to 4K.

    python benchmarks/free_pictures.py FOLDER [PACKAGE ...]

downloads the packages with apt-get, unpacks them without installing anything, and copies each picture once into FOLDER,
with the copyright file of its package beside it. Needs Debian or Ubuntu, apt-get and dpkg.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

PACKAGES = (
    "gnome-backgrounds",
    "plasma-workspace-wallpapers",
    "mate-backgrounds",
    "ukui-wallpapers",
    "lomiri-wallpapers",
    "lomiri-wallpapers-16.04",
    "lomiri-wallpapers-20.04",
    "sway-backgrounds",
)
"""Some 120 pictures, 935 megapixels, most of them under CC BY, CC BY-SA or CC0."""

SUFFIXES = frozenset({".avif", ".jpg", ".jpeg", ".jxl", ".png", ".webp"})

LEAST_SIDE = 512
"""Rows and columns below which a picture is a preview."""


def main() -> None:
    """Download, unpack, copy, and say how much there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("packages", nargs="*", default=PACKAGES)
    chosen = parser.parse_args()
    pixels = 0
    for package in chosen.packages:
        with tempfile.TemporaryDirectory() as place:
            unpack(package, Path(place))
            found = copy(package, Path(place), chosen.folder)
        pixels += sum(found)
        print(f"{package}: {len(found)} pictures, {sum(found) / 1e6:.0f} megapixels")
    print(f"{chosen.folder}: {pixels / 1e6:.0f} megapixels")


def unpack(package: str, place: Path) -> None:
    """Download a package and unpack it into a folder.

    Raises:
        CalledProcessError: apt-get does not know it, or dpkg cannot unpack it.
    """
    subprocess.run(["apt-get", "download", package], cwd=place, check=True)
    (archive,) = place.glob("*.deb")
    subprocess.run(["dpkg", "-x", archive.name, "."], cwd=place, check=True)


def copy(package: str, place: Path, folder: Path) -> list[int]:
    """Copy the pictures of an unpacked package and its copyright file; return the pixels of each."""
    target = folder / package
    target.mkdir(parents=True, exist_ok=True)
    pixels = []
    for path, size in pictures(sorted(place.rglob("*"))):
        name = f"{hashlib.blake2b(path.read_bytes(), digest_size=6).hexdigest()}{path.suffix.lower()}"
        if not (target / name).exists():
            shutil.copyfile(path, target / name)
            pixels.append(size[0] * size[1])
    for path in place.glob("usr/share/doc/*/copyright"):
        shutil.copyfile(path, target / "copyright")
    return pixels


def pictures(paths: Sequence[Path]) -> Iterator[tuple[Path, tuple[int, int]]]:
    """Yield the files that Pillow reads and that are large enough, with columns and rows."""
    for path in paths:
        if path.is_symlink() or not path.is_file() or path.suffix.lower() not in SUFFIXES:
            continue
        try:
            with Image.open(path) as image:
                size = image.size
        except OSError:
            print(f"left out, not readable here: {path.name}")
            continue
        if min(size) >= LEAST_SIDE:
            yield path, size


if __name__ == "__main__":
    main()
