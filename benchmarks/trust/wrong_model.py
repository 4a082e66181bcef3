"""Wrong models: foreign bundles, damaged files of bundles, forged zips, weights that are not finite; all refused.

python benchmarks/trust/wrong_model.py [--cases 3000] [--seed 0]
"""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from samples import BUNDLES, NAMES, bundle_of, codec, streams
from trials import Trials, finish, parser, refused

from aeedge_runtime import Bundle, BundleError, WrongModelError
from aeedge_runtime.bundle.onnx_check import check_weights
from aeedge_runtime.inference import session

Random = np.random.Generator


def files_of(folder: Path) -> dict[str, bytes]:
    """Bytes of all files below a folder by their relative name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def zip_of(files: dict[str, bytes]) -> bytes:
    """Return an `.aeb` file."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name), files[name])
    return buffer.getvalue()


def rehashed(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the same files with a manifest that lists them as they are."""
    values = json.loads(files["manifest.json"])
    values["files"] = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in files.items()
        if name != "manifest.json"
    }
    return files | {"manifest.json": json.dumps(values).encode()}


def flipped(data: bytes, random: Random) -> bytes:
    """One bit changed."""
    changed = bytearray(data)
    changed[int(random.integers(len(data)))] ^= 1 << int(random.integers(8))
    return bytes(changed)


def foreign_bundles() -> Trials:
    """Every stream with every bundle that did not write it: the error names both ids."""
    trials = Trials()
    for name, data in streams().items():
        for other in NAMES:
            if other == bundle_of(name):
                continue
            ids = (codec(bundle_of(name)).bundle.manifest.stream_id, codec(other).bundle.manifest.stream_id)
            try:
                codec(other).decompress_batch(data)
                outcome = "!accepted"
            except WrongModelError as error:
                outcome = "WrongModelError" if all(part in str(error) for part in ids) else "!an id is not named"
            trials.note(f"{name} with {other}", outcome)
    return trials


def damaged_files(graphs: int, others: int, random: Random) -> dict[str, Trials]:
    """Flipped bits in the files of a bundle; the graphs must not reach onnxruntime."""
    found = {"graphs": Trials(), "other_files": Trials(), "manifests": Trials()}
    for name in NAMES:
        files = files_of(BUNDLES / name)
        own = Bundle.load(BUNDLES / name).stream_id
        for kind, number in (("graphs", graphs), ("other_files", others), ("manifests", others)):
            chosen = [key for key in sorted(files) if _kind(key) == kind and files[key]]
            for case in range(number // len(NAMES)):
                key = chosen[case % len(chosen)]
                data = zip_of(files | {key: flipped(files[key], random)})
                verdict: Callable[[Any], str] = refused
                if kind == "manifests":  # a letter of the name or of the training summary has no hash
                    verdict = lambda bundle, own=own: "other text" if bundle.stream_id == own else "!other model"  # noqa: E731
                found[kind].attempt(f"{name} {key} {case}", lambda data=data: Bundle.load(data), verdict)
    return found


def _kind(key: str) -> str:
    if key == "manifest.json":
        return "manifests"
    return "graphs" if key.endswith(".onnx") else "other_files"


def damaged_zips(cases: int, random: Random) -> Trials:
    """Flipped bits, cut ends and moved pieces of zips: refused, or nothing that is used has changed."""
    trials = Trials()
    for name in NAMES:
        data = zip_of(files_of(BUNDLES / name))
        own = Bundle.load(data).hash
        for case in range(cases // len(NAMES)):
            changed = flipped(data, random)
            if case % 4 == 1:
                changed = data[: int(random.integers(len(data)))]
            elif case % 4 == 2:
                tail = bytearray(data)
                tail[int(random.integers(len(data) - 2500, len(data)))] = int(random.integers(256))
                changed = bytes(tail)
            trials.attempt(
                f"{name} {case}",
                lambda changed=changed: Bundle.load(changed),
                lambda bundle, own=own: "same files" if bundle.hash == own else "!other files",
            )
    return trials


def bad_weights(each: int, random: Random) -> Trials:
    """Weights made NaN or infinite, hashes put right."""
    trials = Trials()
    for name in NAMES:
        files = files_of(BUNDLES / name)
        for key in sorted(files):
            if not key.endswith(".onnx"):
                continue
            places = weight_places(files[key])
            for _ in range(each):
                place = places[int(random.integers(len(places)))]
                value = (np.nan, np.inf, -np.inf)[int(random.integers(3))]
                data = files[key][:place] + struct.pack("<f", value) + files[key][place + 4 :]
                bad = zip_of(rehashed(files | {key: data}))
                trials.attempt(f"{name} {key} {place}", lambda bad=bad: Bundle.load(bad), refused)
    return trials


def weight_places(data: bytes) -> list[int]:
    """Where float32 weights lie in a graph: where NaN is seen as one."""
    found, place = [], 0
    while place <= len(data) - 4:
        try:
            check_weights(data[:place] + struct.pack("<f", np.nan) + data[place + 4 :], "graph")
        except BundleError as error:
            if "NaN" in str(error):
                found.append(place)
        place += 4 if found and place == found[-1] else 1
    return found


def run(cases: int, seed: int) -> dict[str, Any]:
    """Try everything and return the facts."""
    random = np.random.default_rng(seed)
    found = {"foreign_bundles": foreign_bundles()}
    create = session._create

    def forbidden(*_: object) -> Any:
        raise RuntimeError("a damaged graph reached onnxruntime")

    session._create = forbidden
    try:
        found |= damaged_files(300, min(cases, 1000), random)
        found["zips"] = damaged_zips(cases, random)
        found["bad_weights"] = bad_weights(max(1, cases // 100), random)
    finally:
        session._create = create
    return {key: trials.facts() for key, trials in found.items()}


def main() -> int:
    """Run all of it."""
    arguments = parser(__doc__, 3000).parse_args()
    return finish("wrong_model", run(arguments.cases, arguments.seed), arguments.out)


if __name__ == "__main__":
    raise SystemExit(main())
