"""Forgery: streams that lie with right checksums; no crash, no hang, no more memory than a valid decode and 64 MB.

The symbol hash is put right too in every other case, by a reader that takes what it finds for what it expects: so
forged symbols reach the networks. What then comes out is `another image`: of a stream that keeps every rule.

python benchmarks/trust/forgery.py [--cases 100000] [--seed 0]
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from forged import forge, take_apart
from numpy.typing import NDArray
from samples import NAMES, bundle_of, codec, streams
from trials import Trials, finish, parser, peak_mb

from aeedge_runtime import stream_info, stream_names
from aeedge_runtime.coding import chunk_io as symbols

LIES = (0, 1, 127, 255, 65_535, 65_536, 2**24 - 1, 2**24, 2**24 + 1, 2**31 - 1, 2**31, 2**32 - 1, 2**35 - 1)
"""Values for every number of a header."""

MORE_MB = 64
QUICK_S = 0.1


@contextlib.contextmanager
def any_hash() -> Iterator[None]:
    """Take every symbol hash for right."""
    kept, original = symbols.hash_symbols, symbols.ChunkReader

    class Trusting(symbols.ChunkReader):
        def __init__(self, stream: Any, *rest: Any) -> None:
            super().__init__(stream, *rest)
            symbols.hash_symbols = lambda *_: stream.symbol_hash

    from aeedge_runtime import codec as module

    module.ChunkReader = Trusting
    try:
        yield
    finally:
        symbols.hash_symbols, module.ChunkReader = kept, original


def image(pixels: NDArray[np.uint8]) -> str:
    """Outcome of a forged stream that decodes."""
    return "another image" if pixels.ndim == 4 and pixels.dtype == np.uint8 else "!no image"


def forged_streams(cases: int, seed: int, bundle: str = "") -> Trials:
    """Decode forged streams, of one bundle or of all, by their bundle's codec, and read their facts and names."""
    trials, random = Trials(), np.random.default_rng(seed)
    names = [name for name in streams() if bundle in ("", bundle_of(name))]
    for number in range(cases):
        name = names[int(random.integers(len(names)))]
        data = forge(streams()[name], random)
        decode = codec(bundle_of(name)).decompress_batch
        with any_hash() if number % 2 else contextlib.nullcontext():
            trials.attempt(f"{name} {number}", lambda data=data, decode=decode: decode(data), image)
        if number % 10 == 0:
            trials.attempt(f"{name} {number} info", lambda data=data: stream_info(data), lambda _: "facts")
            trials.attempt(f"{name} {number} names", lambda data=data: stream_names(data), lambda _: "facts")
    return trials


def lying_fields() -> Trials:
    """Sizes, counts and lengths that lie, one and two at a time: refused within QUICK_S of processor time.

    A width that pads to the same latent is no lie that shows: with its checksums right it is another image's stream.
    """
    trials = Trials()
    for name, data in streams().items():
        fields, _ = take_apart(data)
        decode = codec(bundle_of(name)).decompress_batch
        variants = [{key: value} for key in ("count", "width", "height", "chunks") for value in LIES]
        sizes = itertools.product(("count", "width", "height"), LIES, ("width", "height"), LIES)
        variants += [{key: value, other: most} for key, value, other, most in sizes if key < other]
        variants += [{"chunks": 2, "lengths": [value]} for value in LIES[3:]]
        variants += [{"flags": 1, "table": [(2, value)]} for value in LIES[4:]]
        variants += [{"flags": 1, "table": fields.table, "section_count": value} for value in LIES[5:]]
        for variant in variants:
            if all(getattr(fields, key) == value for key, value in variant.items()):
                continue
            forged = replace(fields, **variant).seal()
            start = time.process_time()
            trials.attempt(f"{name} {variant}", lambda forged=forged, decode=decode: decode(forged), image)
            spent = time.process_time() - start
            if spent > QUICK_S:
                trials.note(f"{name} {variant}", f"!{spent:.3f} s, expected {QUICK_S}")
    return trials


def memory_mb(task: tuple[str, int, int]) -> float:
    """How much more memory forged streams of a bundle take than its valid ones, in a process that did nothing else."""
    bundle, cases, seed = task
    for name, data in streams().items():
        if bundle_of(name) == bundle:
            codec(bundle).decompress_batch(data)
    before = peak_mb()
    forged_streams(cases, seed, bundle)
    return peak_mb() - before


def run(cases: int, seed: int) -> dict[str, Any]:
    """Try everything and return the facts; memory is measured for one model at a time, on a tenth of the cases."""
    lies, forged = lying_fields(), forged_streams(cases, seed)
    tasks = [(name, cases // 10, seed + 1) for name in NAMES]
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        more = dict(zip(NAMES, pool.map(memory_mb, tasks, chunksize=1), strict=True))
    for name, value in more.items():
        if value > MORE_MB:
            forged.note("memory", f"!{name}: {value:.0f} MB more than valid streams need")
    return {
        "lying_fields": lies.facts(),
        "forged_streams": forged.facts(),
        "more_memory_mb": {name: round(value, 1) for name, value in more.items()},
    }


def main() -> int:
    """Run all of it."""
    arguments = parser(__doc__, 100_000).parse_args()
    return finish("forgery", run(arguments.cases, arguments.seed), arguments.out)


if __name__ == "__main__":
    raise SystemExit(main())
