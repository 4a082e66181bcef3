"""Faults injected into `aeedge compress --verify`: in memory, in the coder, in the prior network, on the disk.

Each must end with a non-zero exit code and without a file under the final name.

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

from aeedge import compression
from aeedge.cli import main as aeedge_main
from aeedge_runtime import Codec, symbols
from aeedge_runtime.networks import Networks

Random = np.random.Generator
Patch = contextlib.AbstractContextManager[Any]


def changed(data: bytes, random: Random) -> bytes:
    """A flipped bit, a cut, more bytes, a zeroed sector, or nothing at all."""
    place = int(random.integers(len(data)))
    flipped = bytearray(data)
    flipped[place] ^= 1 << int(random.integers(8))
    zeroed = data[:place] + bytes(len(data) - place)
    choices = (bytes(flipped), data[:place], data + random.bytes(3), zeroed, b"")
    found = choices[int(random.integers(len(choices)))]
    return found if found != data else bytes(flipped)


def in_memory(random: Random) -> Patch:
    """The stream is changed between the codec and the disk."""
    inner = Codec.compress_batch
    return unittest.mock.patch.object(Codec, "compress_batch", lambda *a, **k: changed(inner(*a, **k), random))


def on_disk(random: Random) -> Patch:
    """The disk keeps other bytes than it was given."""

    def write(path: Path, data: bytes, *, overwrite: bool) -> None:
        path.write_bytes(changed(data, random))

    return unittest.mock.patch.object(compression, "atomic_write", write)


def in_coder(random: Random) -> Patch:
    """The coder writes one symbol that is not the one it was given."""
    inner = symbols.encode_chunk

    def encode(passes: Any, bank: Any) -> bytes:
        wrong = [(tables, values.copy()) for tables, values in passes]
        for tables, values in wrong:
            coded = np.flatnonzero(~bank.certain.take(tables))
            if len(coded):
                values[coded[int(random.integers(len(coded)))]] += 1
                break
        return inner(wrong, bank)

    return unittest.mock.patch.object(symbols, "encode_chunk", encode)


def in_prior(random: Random) -> Patch:
    """The prior network gives another table index when it compresses than when it decompresses."""
    inner = Networks.prior

    def prior(self: Networks, *, compress: bool) -> Any:
        found: Any = inner(self, compress=compress)
        if compress:
            run = found._first.run
            found._first = unittest.mock.Mock(run=lambda feeds: _other_index(run(feeds), random))
        return found

    return unittest.mock.patch.object(Networks, "prior", prior)


def _other_index(outputs: list[Any], random: Random) -> list[Any]:
    index = outputs[0].copy()
    index[:] = (index + 8 + int(random.integers(30))) % 64
    return [index, *outputs[1:]]


FAULTS: tuple[tuple[str, str, Callable[[Random], Patch]], ...] = (
    ("memory", "tiny-conv", in_memory),
    ("disk", "tiny-conv", on_disk),
    ("coder", "tiny-vae", in_coder),
    ("prior", "tiny-hyper", in_prior),
)


def run(cases: int, seed: int) -> dict[str, Trials]:
    """Injects faults of each kind in turn."""
    found = {kind: Trials() for kind, _, _ in FAULTS}
    random = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as scratch:
        source, output = Path(scratch) / "a.png", Path(scratch) / "a.png.aee"
        for number in range(cases):
            kind, bundle, patch = FAULTS[number % len(FAULTS)]
            Image.fromarray(picture(30, 40, 3, number)).save(source)
            words = ["compress", str(source), "-m", str(BUNDLES / bundle), "--verify", "--threads", "1"]
            with patch(random), contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                code = aeedge_main(words)
            found[kind].note(f"{kind} {number}", _outcome(code, output))
            output.unlink(missing_ok=True)
    return found


def _outcome(code: int, output: Path) -> str:
    if code == 0:
        return "!not caught"
    return f"!caught with {code}, but a file was left" if output.exists() else "caught"


def main() -> int:
    """Runs all of it."""
    arguments = parser(__doc__, 100).parse_args()
    found = run(arguments.cases, arguments.seed)
    return finish("injected", {kind: trials.facts() for kind, trials in found.items()}, arguments.out)


if __name__ == "__main__":
    raise SystemExit(main())
