"""Damage: every flipped bit, every truncation, bursts and more of valid streams must be refused with a typed error.

python benchmarks/trust/damage.py [--cases 420000] [--seed 0]
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from samples import bundle_of, codec, streams
from trials import Trials, finish, parser, refused


def flips(data: bytes) -> Iterator[bytes]:
    """One bit changed, each in turn."""
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def truncations(data: bytes) -> Iterator[bytes]:
    """Every shorter length, from either end."""
    for length in range(len(data)):
        yield data[:length]
        if length:
            yield data[length:]


def burst(data: bytes, generator: np.random.Generator) -> bytes:
    """Return a run of 2 to 512 bits of which the first and the last are changed and those between at random."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    length = min(int(2 ** generator.uniform(1, 9)), len(bits))
    start = generator.integers(len(bits) - length + 1)
    pattern = generator.integers(0, 2, length, dtype=np.uint8)
    pattern[[0, -1]] = 1
    bits[start : start + length] ^= pattern
    return np.packbits(bits).tobytes()


def appended(data: bytes, generator: np.random.Generator) -> bytes:
    """One to 64 bytes more at the end, or, one time in four, in front."""
    more = generator.bytes(int(generator.integers(1, 65)))
    return more + data if generator.random() < 0.25 else data + more


def moved(data: bytes, generator: np.random.Generator) -> bytes:
    """Return a piece taken out, doubled, zeroed, or put elsewhere; never the same bytes again."""
    while True:
        first, last = sorted(generator.integers(0, len(data) + 1, 2).tolist())
        piece = data[first:last]
        place = int(generator.integers(0, len(data) + 1))
        changed = (
            data[:first] + data[last:],
            data[:last] + piece + data[last:],
            data[:first] + bytes(len(piece)) + data[last:],
            (data[:first] + data[last:])[:place] + piece + (data[:first] + data[last:])[place:],
        )[int(generator.integers(4))]
        if changed != data:
            return changed


DRAWN = {"burst": burst, "appended": appended, "moved": moved}


def run(drawn: int, seed: int, names: tuple[str, ...] | None = None) -> dict[str, Trials]:
    """Try everything.

    Args:
        drawn: bursts, appended and moved bytes in all.
        seed: of the random ones.
        names: streams to damage; all where None.
    """
    chosen = {name: data for name, data in streams().items() if names is None or name in names}
    found = {kind: Trials() for kind in ("flip", "truncation", *DRAWN)}
    generator = np.random.default_rng(seed)
    for name, data in chosen.items():
        decode = codec(bundle_of(name)).decompress_batch
        decode(data)
        for kind, cases in (("flip", flips(data)), ("truncation", truncations(data))):
            for number, case in enumerate(cases):
                found[kind].attempt(f"{name} {number}", partial(decode, case), refused)
        for kind, change in DRAWN.items():
            for number in range(-(-drawn // len(chosen) // len(DRAWN))):
                case = change(data, generator)
                found[kind].attempt(f"{name} {number}", partial(decode, case), refused)
    return found


def main() -> int:
    """Run all of it."""
    arguments = parser(__doc__, 420_000).parse_args()
    found = run(arguments.cases, arguments.seed)
    facts = {kind: trials.facts() for kind, trials in found.items()}
    total = sum(trials.count for trials in found.values())
    return finish("damage", {"streams": len(streams()), "total": total, **facts}, arguments.out)


if __name__ == "__main__":
    raise SystemExit(main())
