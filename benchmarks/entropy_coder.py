"""Speed and overhead of the entropy coder on symbols drawn from its own tables; every timed result is checked.

python benchmarks/entropy_coder.py [--repeats 30] [--out benchmarks/results/entropy_coder.json]
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aeedge_runtime.entropy.bank import CERTAIN, MAGNITUDE, OFFSET, TOTAL, FrequencyBank
from aeedge_runtime.entropy.chunk import ChunkDecoder, Pass, encode_chunk
from aeedge_runtime.stream.container import Stream, write_stream

PHOTO_PIXELS = 768 * 512
PHOTO_SHAPE = (192, 32, 48)
HYPER_SHAPE = (24, 8, 12)
SCALES = np.geomspace(0.11, 128.0, 64)


@dataclass(frozen=True)
class Result:
    """Figures of one case; times are per chunk.

    Rates count every symbol, certain ones too, and are of the median processor time: the coder runs in one thread, so
    that is what it takes on a machine with nothing else to do; wall-clock times beside it include what else ran.
    """

    name: str
    symbols: int
    coded_symbols: int
    payload_bytes: int
    bits_per_coded_symbol: float
    overhead_percent: float
    lanes: int
    encode_best_ms: float
    encode_p50_ms: float
    encode_cpu_ms: float
    decode_best_ms: float
    decode_p50_ms: float
    decode_cpu_ms: float
    encode_symbols_per_s: float
    decode_symbols_per_s: float
    note: str = ""


def integer_frequencies(probabilities: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Frequencies that sum to 16384, each at least 1."""
    frequencies = np.maximum(1, np.floor(probabilities * TOTAL)).astype(np.int64)
    frequencies[np.argmax(frequencies)] += TOTAL - frequencies.sum()
    return frequencies.astype(np.uint16)


def gaussian_bank(certain_above: float = 0.9995, tail: float = 1e-4) -> FrequencyBank:
    """Magnitude tables of 64 zero-mean Gaussians, and a last offset table of 21 equal tokens of rank -10..10."""
    frequencies = np.zeros((len(SCALES) + 1, 256), np.uint16)
    sizes, kind = np.ones(len(SCALES) + 1, np.uint16), np.full(len(SCALES) + 1, MAGNITUDE, np.uint8)
    for table, scale in enumerate(SCALES):
        inside = np.array([math.erf((k + 0.5) / scale / math.sqrt(2)) for k in range(255)])
        if inside[0] > certain_above:
            kind[table], frequencies[table, 0] = CERTAIN, TOTAL
            continue
        size = min(255, int(np.searchsorted(inside, 1 - tail)) + 1)
        sizes[table] = size + 1
        probabilities = np.diff(np.concatenate([[0.0], inside[:size], [1.0]]))
        frequencies[table, : size + 1] = integer_frequencies(probabilities)
    weights = np.append(np.exp(-np.abs(np.arange(-10, 11)) / 1.5), 1e-4)
    frequencies[-1, :22] = integer_frequencies(weights / weights.sum())
    sizes[-1], kind[-1] = 22, OFFSET
    minimum = np.zeros(len(sizes), np.int16)
    minimum[-1] = -10
    return FrequencyBank(frequencies, sizes, minimum, kind)


def draw(rng: np.random.Generator, bank: FrequencyBank, tables: NDArray[np.uint8]) -> Pass:
    """Symbols of the tables' distributions, 0 where they are certain."""
    scale = np.append(SCALES, 1.5)[tables]
    symbols = np.rint(rng.normal(size=tables.shape) * scale).astype(np.int16)
    symbols[bank.certain[tables]] = 0
    return tables, symbols


def photo_passes(bank: FrequencyBank, rate_bpp: float) -> list[Pass]:
    """Hyper symbols and two checkerboard passes of a 768x512 photo: scales fall with the channel and vary in space."""
    channels, rows, columns = PHOTO_SHAPE
    rng = np.random.default_rng(1)
    busy = np.kron(rng.normal(size=(rows // 4, columns // 4)), np.ones((4, 4))) * 7
    field = -0.22 * np.arange(channels)[:, None, None] + busy + rng.normal(size=PHOTO_SHAPE) * 3
    even = np.indices((rows, columns)).sum(axis=0) % 2 == 0
    hyper = np.full(math.prod(HYPER_SHAPE), len(SCALES), np.uint8)

    def passes(level: float) -> list[Pass]:
        tables = np.clip(np.rint(field + level), 0, 63).astype(np.uint8)
        rng = np.random.default_rng(2)
        return [draw(rng, bank, part) for part in (hyper, tables[:, even].ravel(), tables[:, ~even].ravel())]

    low, high = -20.0, 80.0
    for _ in range(20):
        level = (low + high) / 2
        bits = sum(float(bank.cost_bits(*part).sum()) for part in passes(level))
        low, high = (level, high) if bits < rate_bpp * PHOTO_PIXELS else (low, level)
    return passes(low)


def cases(bank: FrequencyBank) -> Iterator[tuple[str, list[Pass], str]]:
    """Name, passes and note of every case."""
    rng = np.random.default_rng(0)
    three_bits = np.full(300_000, int(np.argmin(abs(SCALES - 1.95))), np.uint8)
    yield "300,000 symbols of 3 bits, one table", [draw(rng, bank, three_bits)], ""
    spread = rng.integers(14, 38, 300_000).astype(np.uint8)
    yield "300,000 symbols, 24 tables", [draw(rng, bank, spread)], ""
    unsigned = np.full(300_000, len(SCALES), np.uint8)
    yield "300,000 symbols, no raw bits", [draw(rng, bank, unsigned)], "lanes cost 2.5 bytes each"
    for rate_bpp in (0.1, 0.3, 1.0):
        yield f"768x512 photo at {rate_bpp} bpp", photo_passes(bank, rate_bpp), ""
    tables = np.tile(np.arange(6, 38, 0.5).astype(np.uint8), 4000)
    yield "4,000 images of 64 symbols", [draw(rng, bank, tables)], "4,000 images"
    yield "1 image of 64 symbols", [draw(rng, bank, tables[:64])], "1 image"
    dull = np.full(1 << 20, int(np.flatnonzero(~bank.certain)[0]), np.uint8)
    yield "1,048,576 symbols, nearly certain", [draw(rng, bank, dull)], "most symbols for the fewest bytes"


def decode(data: bytes, passes: Sequence[Pass], bank: FrequencyBank) -> list[NDArray[np.int16]]:
    """Symbols of every pass."""
    decoder = ChunkDecoder(data, bank)
    found = [decoder.decode(tables, last=i == len(passes) - 1) for i, (tables, _) in enumerate(passes)]
    decoder.finish()
    return found


def measure(name: str, passes: list[Pass], note: str, bank: FrequencyBank, repeats: int) -> Result:
    """Time both ways; each decoded result is compared with the symbols that went in."""
    encode_ms, decode_ms, encode_cpu_ms, decode_cpu_ms = [], [], [], []
    for turn in range(repeats + 2):  # two turns warm up tables and caches
        start = clocks_ms()
        data = encode_chunk(passes, bank)
        middle = clocks_ms()
        found = decode(data, passes, bank)
        end = clocks_ms()
        if not all(np.array_equal(part, symbols) for part, (_, symbols) in zip(found, passes, strict=True)):
            raise SystemExit(f"{name}: decoded symbols differ from the encoded ones")
        if turn > 1:
            encode_ms.append(middle[0] - start[0])
            decode_ms.append(end[0] - middle[0])
            encode_cpu_ms.append(middle[1] - start[1])
            decode_cpu_ms.append(end[1] - middle[1])
    bits = sum(float(bank.cost_bits(*part).sum()) for part in passes)
    symbols = sum(len(tables) for tables, _ in passes)
    coded = sum(len(bank.coded(tables)) for tables, _ in passes)
    return Result(
        name=name,
        symbols=symbols,
        coded_symbols=coded,
        payload_bytes=len(data),
        bits_per_coded_symbol=round(bits / coded, 3),
        overhead_percent=round(100 * (8 * len(data) / bits - 1), 3),
        lanes=1 if data[0] & 15 == 12 else 1 << (data[0] & 15),
        encode_best_ms=round(min(encode_ms), 3),
        encode_p50_ms=round(statistics.median(encode_ms), 3),
        encode_cpu_ms=round(statistics.median(encode_cpu_ms), 3),
        decode_best_ms=round(min(decode_ms), 3),
        decode_p50_ms=round(statistics.median(decode_ms), 3),
        decode_cpu_ms=round(statistics.median(decode_cpu_ms), 3),
        encode_symbols_per_s=round(1e3 * symbols / statistics.median(encode_cpu_ms)),
        decode_symbols_per_s=round(1e3 * symbols / statistics.median(decode_cpu_ms)),
        note=note,
    )


def clocks_ms() -> tuple[float, float]:
    """Wall-clock and processor time, in ms."""
    return 1e3 * time.perf_counter(), 1e3 * time.process_time()


def first_use_ms() -> float:
    """Time to build every lookup of a bank of 65 tables, once per loaded bundle and side."""
    bank = gaussian_bank()
    start = time.perf_counter()
    bank.decoder_lookup(np.arange(bank.tables, dtype=np.uint8))
    return round(1e3 * (time.perf_counter() - start), 2)


def environment() -> dict[str, str | int | float]:
    """Machine, versions and date."""
    models = [line.split(":")[1].strip() for line in read_lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": models[0] if models else platform.processor(),
        "cores": len(models),
        "load_average": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else -1,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def read_lines(path: str) -> list[str]:
    """Lines of a file, none where it does not exist."""
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def print_table(results: Sequence[Result]) -> None:
    """One line a case: medians of processor and wall-clock time in ms, rates of the former."""
    print(f"{'case':38}{'symbols':>10}{'coded':>10}{'bits each':>10}{'bytes':>9}{'over':>8}{'lanes':>6}", end="")
    print(f"{'encode cpu':>11}{'wall':>7}{'M/s':>6}{'decode cpu':>11}{'wall':>7}{'M/s':>6}")
    for r in results:
        print(f"{r.name:38}{r.symbols:>10,}{r.coded_symbols:>10,}{r.bits_per_coded_symbol:>10.2f}", end="")
        print(f"{r.payload_bytes:>9,}{r.overhead_percent:>7.2f}%{r.lanes:>6}", end="")
        print(f"{r.encode_cpu_ms:>11.2f}{r.encode_p50_ms:>7.2f}{r.encode_symbols_per_s / 1e6:>6.1f}", end="")
        print(f"{r.decode_cpu_ms:>11.2f}{r.decode_p50_ms:>7.2f}{r.decode_symbols_per_s / 1e6:>6.1f}")


def main() -> None:
    """Measures every case, prints the table and writes the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "entropy_coder.json")
    options = parser.parse_args()
    bank = gaussian_bank()
    results = [measure(name, passes, note, bank, options.repeats) for name, passes, note in cases(bank)]
    print_table(results)
    around = len(write_stream(Stream(bytes(8), 50, 1, 768, 512, False, (bytes(14_700),), 0))) - 14_700
    lookup_ms = first_use_ms()
    print(f"\ndecoder tables of the bank, built once: {lookup_ms} ms; container around one photo: {around} bytes")
    report = {
        "schema": 1,
        "environment": environment(),
        "repeats": options.repeats,
        "decoder_tables_ms": lookup_ms,
        "container_bytes": around,
        "results": [asdict(result) for result in results],
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1) + "\n")
    print(f"written: {options.out}")


if __name__ == "__main__":
    main()
