"""Faults injected into `aeedge compress --verify`: in memory, in the coder, in the prior network, on the disk.

Each must end with the exit code of what it is and without a file under the final name.

python benchmarks/trust/injected.py [--cases 100] [--seed 0]
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import unittest.mock
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from samples import BUNDLES, picture
from trials import Trials, finish, parser

from aeedge.cli.batch import compressor as compression
from aeedge.cli.main import main as aeedge_main
from aeedge_runtime import Codec
from aeedge_runtime.coding.networks import Networks
from aeedge_runtime.entropy.chunk import ChunkEncoder

Random = np.random.Generator
Patch = contextlib.AbstractContextManager[Any]


def changed(data: bytes, random: Random) -> bytes:
    """Return a flipped bit, a cut, more bytes, a zeroed sector, or nothing at all."""
    place = int(random.integers(len(data)))
    flipped = bytearray(data)
    flipped[place] ^= 1 << int(random.integers(8))
    zeroed = data[:place] + bytes(len(data) - place)
    choices = (bytes(flipped), data[:place], data + random.bytes(3), zeroed, b"")
    found = choices[int(random.integers(len(choices)))]
    return found if found != data else bytes(flipped)


def in_memory(random: Random) -> Patch:
    """Change the stream between the codec and the disk."""
    inner = Codec.compress_batch
    return unittest.mock.patch.object(Codec, "compress_batch", lambda *a, **k: changed(inner(*a, **k), random))


def on_disk(random: Random) -> Patch:
    """Make the disk keep other bytes than it was given."""

    def write(path: Path, data: bytes, *, overwrite: bool) -> None:
        path.write_bytes(changed(data, random))

    return unittest.mock.patch.object(compression, "write_location", write)


def in_coder(random: Random) -> Patch:
    """Make the coder write one symbol that is not the one it was given."""
    inner = ChunkEncoder.add

    def add(self: ChunkEncoder, tables: Any, values: Any) -> None:
        wrong = values.copy()
        if len(wrong):
            wrong[int(random.integers(len(wrong)))] += 1
        inner(self, tables, wrong)

    return unittest.mock.patch.object(ChunkEncoder, "add", add)


def in_prior(random: Random) -> Patch:
    """Make the prior network give another table index when it compresses than when it decompresses."""
    inner = Networks.prior

    def prior(self: Networks, *, compress: bool, **options: Any) -> Any:
        found: Any = inner(self, compress=compress, **options)
        if compress:
            run = found._graphs["prior"].run
            found._graphs["prior"] = unittest.mock.Mock(run=lambda feeds: _other_index(run(feeds), random))
        return found

    return unittest.mock.patch.object(Networks, "prior", prior)


def _other_index(outputs: list[Any], random: Random) -> list[Any]:
    index = outputs[0].copy()
    index[:] = (index + 8 + int(random.integers(30))) % 64
    return [index, *outputs[1:]]


FAULTS: tuple[tuple[str, str, Callable[[Random], Patch], int], ...] = (
    ("memory", "tiny-conv", in_memory, 3),
    ("disk", "tiny-conv", on_disk, 1),
    ("coder", "tiny-vae", in_coder, 3),
    ("prior", "tiny-hyper", in_prior, 3),
)
"""Kind, bundle, how it is injected, and the exit code that tells it from an error inside."""


def run(cases: int, seed: int) -> dict[str, Trials]:
    """Injects faults of each kind in turn."""
    found = {kind: Trials() for kind, *_ in FAULTS}
    random = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as scratch:
        source, output = Path(scratch) / "a.png", Path(scratch) / "a.png.aee"
        for number in range(cases):
            kind, bundle, patch, expected = FAULTS[number % len(FAULTS)]
            Image.fromarray(picture(30, 40, 3, number)).save(source)
            words = ["compress", str(source), "-m", str(BUNDLES / bundle), "--verify", "--threads", "1"]
            with patch(random), contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                code = aeedge_main(words)
            found[kind].note(f"{kind} {number}", _outcome(code, expected, output))
            output.unlink(missing_ok=True)
    return found


def _outcome(code: int, expected: int, output: Path) -> str:
    if code != expected:
        return f"!ended with {code} instead of {expected}"
    return f"!caught with {code}, but a file was left" if output.exists() else "caught"


def main() -> int:
    """Run all of it."""
    arguments = parser(__doc__, 100).parse_args()
    found = run(arguments.cases, arguments.seed)
    return finish("injected", {kind: trials.facts() for kind, trials in found.items()}, arguments.out)


if __name__ == "__main__":
    raise SystemExit(main())
