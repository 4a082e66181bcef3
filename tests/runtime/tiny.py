"""The tiny bundles, and ways to change a copy of one so that its hashes still fit."""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeedge_runtime.bundle.stream_id import arrays_hash, geometry_hash, stream_id
from aeedge_runtime.bundle.tables import read_arrays

BUNDLES = Path(__file__).parent.parent / "fixtures" / "bundles"
NAMES = ("tiny-dense", "tiny-conv", "tiny-vae", "tiny-hyper", "tiny-groups")


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def zip_of(files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name), files[name], method)
    return buffer.getvalue()


def copy_of(name: str, target: Path) -> Path:
    shutil.copytree(BUNDLES / name, target)
    return target


def change_manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Alters manifest.json and makes hashes and ids fit again."""
    path = folder / "manifest.json"
    values = json.loads(path.read_bytes())
    change(values)
    parts = values["stream_id_parts"]
    parts["geometry"] = geometry_hash(values["image"], values["latent"], values["prior"])
    values["stream_id"] = stream_id(parts).hex()
    path.write_text(json.dumps(values))
    return folder


def rehash(folder: Path) -> Path:
    """Makes the manifest fit the files that lie there."""

    def fit(values: dict[str, Any]) -> None:
        values["files"] = {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
            for name, data in files_of(folder).items()
            if name != "manifest.json"
        }
        values["stream_id_parts"]["tables"] = arrays_hash(read_arrays((folder / "entropy.npz").read_bytes()))

    return change_manifest(folder, fit)


def change_arrays(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Alters entropy.npz and makes hashes and ids fit again."""
    arrays = dict(read_arrays((folder / "entropy.npz").read_bytes()))
    arrays = {name: array.copy() for name, array in arrays.items()}
    change(arrays)
    np.savez(folder / "entropy.npz", **arrays)
    return rehash(folder)


def half_of(name: str, half: str, target: Path) -> Path:
    """What `aeedge export --only` writes."""
    folder = copy_of(name, target)
    dropped = ["decoder.onnx"] if half == "encoder" else ["encoder.onnx", "hyper_encoder.onnx"]
    for file in dropped:
        (folder / file).unlink(missing_ok=True)
    change_manifest(folder, lambda values: values.update(halves=[half]))
    return rehash(folder)


def with_decoders(target: Path) -> Path:
    """tiny-groups with a lite decoder and a preview."""
    folder = copy_of("tiny-groups", target)
    shutil.copytree(BUNDLES.with_name("decoders"), folder, dirs_exist_ok=True)
    return rehash(folder)


def picture(height: int, width: int, channels: int, seed: int = 0) -> NDArray[np.uint8]:
    """A smooth picture with a little noise, uint8 [height, width, channels]."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / 9 + shift) + np.cos(columns / 7 + seed + shift) for shift in range(channels)]
    planes = 127 + 50 * np.stack(waves, axis=2) + generator.normal(0, 2, (height, width, channels))
    return np.clip(np.rint(planes), 0, 255).astype(np.uint8)


def psnr(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    error = np.mean((first.astype(np.float64) - second) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))
