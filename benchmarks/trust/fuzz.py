"""Fuzzing by coverage: container, coder, sections, manifest, arrays, graphs and zips get changed valid bytes.

An input that reaches a new pair of lines of the runtime is kept and mutated further. Only AeedgeError may come out; the
coder is held against the slow decoder of the tests as well: both read the same symbols, or both refuse.

python benchmarks/trust/fuzz.py [--seconds 60] [--only TARGET ...] [--seed 0] [--corpus FOLDER]
"""

from __future__ import annotations

import binascii
import hashlib
import json
import struct
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np
from forged import seal
from samples import BUNDLES, NAMES, codec, streams
from trials import Trials, finish, parser
from wrong_model import files_of, zip_of

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "runtime"))

from example_tables import mixed_bank, reference_tables
from reference_decoder import RuleBrokenError, decode_chunk

from aeedge_runtime import Bundle, StreamError, stream_info, stream_names
from aeedge_runtime.bundle.manifest import Manifest
from aeedge_runtime.bundle.onnx_check import check_weights
from aeedge_runtime.bundle.tables import read_array, read_arrays
from aeedge_runtime.entropy.chunk import ChunkDecoder, encode_chunk
from aeedge_runtime.stream.container import read_stream
from aeedge_runtime.stream.layout import Geometry
from aeedge_runtime.stream.sections import unpack_alpha, unpack_names

CORPUS = Path(__file__).parents[2] / "tests" / "fixtures" / "fuzz"
LARGEST = 20_000  # bytes of an input
TOKENS = (
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"1e999",
    b"-1",
    b"null",
    b'"',
    b"{",
    b"[",
    b"../",
    b"\x93NUMPY\1\0",
    b"PK\3\4",
)

BANK = mixed_bank()
PASSES = [np.array([0, 2, 4, 1, 3, 7] * 4, np.uint8), np.array([2, 4] * 20, np.uint8)]
GEOMETRY = Geometry((4, 4), 2)

Random = np.random.Generator


def sealed(data: bytes) -> bytes:
    """Bytes behind the signature as a header and body whose checks fit: two bytes tell where the header ends."""
    cut = int.from_bytes(data[:2], "little") % (len(data) + 1)
    return seal(b"\xaeED\1" + data[2:cut], data[max(2, cut) :])


def container(data: bytes) -> None:
    """Return a stream with and without checksums that fit."""
    for stream in (data, sealed(data)):
        for read in (stream_info, stream_names):
            _typed(lambda read=read, stream=stream: read(stream))
        _typed(lambda stream=stream: read_stream(stream, geometry_for=lambda _: GEOMETRY))


def coder(data: bytes) -> None:
    """Return a payload of two passes, read by both decoders."""
    try:
        decoder = ChunkDecoder(data, BANK)
        found = [decoder.decode(tables, last) for tables, last in zip(PASSES, (False, True), strict=True)]
        decoder.finish()
        symbols = [part.tolist() for part in found]
    except StreamError:
        symbols = None
    parts = [part.tolist() for part in PASSES]
    try:
        slow = decode_chunk(data, reference_tables(BANK), lambda done: (parts[len(done)], len(done) == 1))
    except RuleBrokenError:
        slow = None
    if symbols != slow:
        raise RuntimeError("the two decoders differ")


def sections(data: bytes) -> None:
    """Alpha and names, packed by zlib and not."""
    for content in (data, zlib.compress(data)):
        _typed(lambda content=content: unpack_alpha(content, 2, 3, 5))
        _typed(lambda content=content: unpack_names(content, max(1, data.count(b"\0"))))


def manifest(data: bytes) -> None:
    """manifest.json."""
    Manifest.from_bytes(data)


def arrays(data: bytes) -> None:
    """entropy.npz, and each array alone."""
    _typed(lambda: read_array(data))
    read_arrays(data)


def graph(data: bytes) -> None:
    """Return an .onnx file."""
    check_weights(data, "graph")


def bundle(data: bytes) -> None:
    """Return a zip, its listed hashes put right where the manifest can be read."""
    Bundle.load(data)


def _typed(call: Callable[[], object]) -> None:
    """Return a call that may be refused."""
    from aeedge_runtime import AeedgeError

    try:
        call()
    except AeedgeError:
        return


def seeds() -> dict[str, list[bytes]]:
    """Return valid inputs of each target."""
    folders = [files_of(BUNDLES / name) for name in NAMES]
    stripped = [{key: data for key, data in files.items() if not key.startswith("golden")} for files in folders]
    symbols = [np.zeros(len(part), np.int16) for part in PASSES]
    symbols[1][::3] = -3
    symbols[0][BANK.kind[PASSES[0]] == 0] = BANK.minimum[PASSES[0]][BANK.kind[PASSES[0]] == 0]
    payload = encode_chunk(list(zip(PASSES, symbols, strict=True)), BANK)
    return {
        "container": [*streams().values()],
        "coder": [payload, b"", bytes(20)],
        "sections": [b"a\0b.png\0", bytes(30), zlib.compress(b"a/b\0")],
        "manifest": [files["manifest.json"] for files in folders],
        "arrays": [files[key] for files in folders for key in files if key.endswith(".npy")]
        + [files["entropy.npz"][-1500:] for files in folders],
        "graph": [files[key] for files in folders for key in files if key.endswith(".onnx")],
        "bundle": [zip_of(_without_golden(files)) for files in stripped],
    }


def _without_golden(files: dict[str, bytes]) -> dict[str, bytes]:
    values = json.loads(files["manifest.json"])
    values["files"] = {key: fact for key, fact in values["files"].items() if not key.startswith("golden")}
    return files | {"manifest.json": json.dumps(values).encode()}


def mutated(corpus: Sequence[bytes], random: Random) -> bytes:
    """One to eight small changes to an input, or two inputs joined."""
    data = bytearray(corpus[int(random.integers(len(corpus)))])
    if random.random() < 0.1:
        other = corpus[int(random.integers(len(corpus)))]
        data = data[: int(random.integers(len(data) + 1))] + other[int(random.integers(len(other) + 1)) :]
    for _ in range(int(random.integers(1, 9))):
        place = int(random.integers(len(data) + 1))
        kind = int(random.integers(7))
        if kind == 0 and place < len(data):
            data[place] ^= 1 << int(random.integers(8))
        elif kind == 1 and place < len(data):
            data[place] = int(random.integers(256))
        elif kind == 2:
            del data[place : place + int(2 ** random.uniform(0, 6))]
        elif kind == 3:
            data[place:place] = random.bytes(int(2 ** random.uniform(0, 5)))
        elif kind == 4:
            data[place:place] = TOKENS[int(random.integers(len(TOKENS)))]
        elif kind == 5:
            data[place:place] = data[place : place + int(2 ** random.uniform(0, 7))]
        elif kind == 6 and place + 4 <= len(data):
            data[place : place + 4] = struct.pack("<I", int(random.choice([0, 1, 2**31 - 1, 2**31, 2**32 - 1])))
    return bytes(data[:LARGEST])


class Coverage:
    """Pairs of lines of the runtime that ran one after the other."""

    def __init__(self) -> None:
        self.seen: set[tuple[CodeType, int, int]] = set()
        self._new = False
        self._last = 0

    def __call__(self, frame: FrameType, event: str, _argument: object) -> Any:
        """Return a trace function."""
        if "aeedge_runtime" not in frame.f_code.co_filename:
            return None
        if event == "line":
            pair = (frame.f_code, self._last, frame.f_lineno)
            self._last = frame.f_lineno
            if pair not in self.seen:
                self.seen.add(pair)
                self._new = True
        return self

    def grew(self, call: Callable[[], object]) -> bool:
        """Whether a call reached something new."""
        self._new, self._last = False, 0
        sys.settrace(self)
        try:
            call()
        finally:
            sys.settrace(None)
        return self._new


TARGETS = {"container": container, "coder": coder, "sections": sections, "manifest": manifest}
TARGETS |= {"arrays": arrays, "graph": graph, "bundle": bundle}


def run(name: str, seconds: float, seed: int, saved: Path | None = None) -> dict[str, Any]:
    """Fuzzes one target; finds and new corpus entries are written below `saved`."""
    trials, coverage = Trials(), Coverage()
    random = np.random.default_rng([seed, binascii.crc32(name.encode())])
    target = TARGETS[name]
    kept = sorted((saved or CORPUS).glob(f"{name}-*"))
    corpus = seeds()[name] + [path.read_bytes() for path in kept]
    end, pending = time.process_time() + seconds, list(corpus)
    while pending or time.process_time() < end:
        data = pending.pop() if pending else mutated(corpus, random)
        digest = hashlib.sha256(data).hexdigest()[:12]
        grew = [False]

        def call(data: bytes = data, grew: list[bool] = grew) -> None:
            before = len(coverage.seen)
            try:
                coverage.grew(lambda: target(data))
            finally:
                grew[0] = len(coverage.seen) > before

        faults = trials.fault_count
        trials.attempt(f"{name} {digest}", call, lambda _: "taken")
        if grew[0] and not pending:
            corpus.append(data)
        if saved and (trials.fault_count > faults or (grew[0] and len(data) < 300)):
            (saved / f"{name}-{digest}").write_bytes(data)
    return {**trials.facts(), "pairs_of_lines": len(coverage.seen), "corpus": len(corpus)}


def main() -> int:
    """Fuzzes every target for as long as asked."""
    options = parser(__doc__, 0)
    options.add_argument("--seconds", type=float, default=60, help="processor time for each target [60]")
    options.add_argument("--only", nargs="+", choices=sorted(TARGETS), default=list(TARGETS))
    options.add_argument("--corpus", type=Path, help="folder of a corpus that grows [only read: tests/fixtures/fuzz]")
    arguments = options.parse_args()
    codec("tiny-conv")
    if arguments.corpus:
        arguments.corpus.mkdir(parents=True, exist_ok=True)
    found = {name: run(name, arguments.seconds, arguments.seed, arguments.corpus) for name in arguments.only}
    return finish("fuzz", {"seconds_each": arguments.seconds, "targets": found}, arguments.out)


if __name__ == "__main__":
    raise SystemExit(main())
