"""Costs and gains of a precision on this machine, against the float32 bundle that it came from.

Graphs of both take turns on one real image, the float32 one twice in every turn: how far it is from itself is the
noise, and a ratio within it is no gain. Rates come from real streams of images that calibration did not see.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeedge.evaluation.bdrate import compare_curves, monotone
from aeedge_export.checks.parity import Check, Parity
from aeedge_runtime.codec import Codec
from aeedge_runtime.inference.session import Session, SessionOptions, open_session
from aeedge_runtime.stream.info import stream_info

QUALITIES = (10, 30, 50, 70, 90)
"""Of the rates: on photographs they span what is used."""

TURNS = 25
"""Rounds of the latency; each runs float32, the variant, and float32 again."""

LEAST_GAIN = 0.02
"""A smaller saving of time is called none, however quiet the machine is."""

LEAST_SAVED = 0.05
"""Share of the bytes that a variant must save to be worth taking for its size."""

Pixels = NDArray[np.uint8]
Feed = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Limits:
    """Largest differences from float32 with which a variant may ship.

    Attributes:
        pixel_rms: root of the mean squared difference of pixels of the same symbols, of 255.
        psnr_db: loss of PSNR at one quality, in dB.
        symbol_share: symbols that differ, of all.
        bytes_share: growth of the payload at one quality.
    """

    pixel_rms: float
    psnr_db: float
    symbol_share: float
    bytes_share: float


LIMITS = {"fp16": Limits(0.5, 0.02, 0.01, 0.005), "int8": Limits(1.0, 0.3, 0.15, 0.05)}


@dataclass(frozen=True)
class Timing:
    """Two graphs that took turns.

    Attributes:
        fp32_ms: median time of a run of the float32 graph.
        variant_ms: the same of the variant.
        speed: median over turns of the first by the second; above 1 is faster.
        noise: how far float32 by float32 is from 1, the larger of its median's and half its middle spread.
    """

    fp32_ms: float
    variant_ms: float
    speed: float
    noise: float

    @property
    def gains(self) -> bool:
        """Whether the variant is faster, beyond the noise."""
        return self.speed > 1 + max(self.noise, LEAST_GAIN)


@dataclass(frozen=True)
class GraphPrice:
    """One graph in its new precision.

    Attributes:
        role: "encoder" or "decoder".
        precision: "fp16" or "int8".
        timing: against float32 on this machine.
        fp32_bytes: size of the float32 graph.
        variant_bytes: size of the variant.
        layers: layers in the new precision.
        kept: layers that stay in float32.
    """

    role: str
    precision: str
    timing: Timing
    fp32_bytes: int
    variant_bytes: int
    layers: int
    kept: tuple[str, ...]

    def __str__(self) -> str:
        """One line for people."""
        size = f"{self.fp32_bytes / 1e6:.2f} -> {self.variant_bytes / 1e6:.2f} MB"
        timing = self.timing
        time = f"{timing.fp32_ms:.1f} -> {timing.variant_ms:.1f} ms, {timing.speed:.2f} times as fast"
        kept = f", {len(self.kept)} of {self.layers + len(self.kept)} layers left in float" if self.kept else ""
        verdict = "" if timing.gains else "; NO GAIN in time here"
        return f"{self.role} {self.precision}: {time} (noise {timing.noise:.2f}); {size}{kept}{verdict}"


@dataclass(frozen=True)
class Price:
    """Costs and gains of a variant.

    Attributes:
        graphs: one per graph that changed.
        bd_rate_percent: bytes more at equal PSNR, None where the curves share no range.
        psnr_range_db: range of the former.
        psnr_change_db: mean change of PSNR at equal bytes, negative for a loss.
        changed_symbols: share of the symbols that differ, over all qualities.
        points: per quality bytes and PSNR in dB of either.
        threads: of the latency.
    """

    graphs: tuple[GraphPrice, ...]
    bd_rate_percent: float | None
    psnr_range_db: tuple[float, float]
    psnr_change_db: float
    changed_symbols: float
    points: tuple[Mapping[str, float], ...]
    threads: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        graphs = [{**asdict(graph), "gains_time": graph.timing.gains} for graph in self.graphs]
        return {**asdict(self), "graphs": graphs, "points": [dict(point) for point in self.points]}

    def lines(self) -> list[str]:
        """Lines for people."""
        low, high = self.psnr_range_db
        rate = "not known" if self.bd_rate_percent is None else f"{self.bd_rate_percent:+.2f} %"
        lines = [str(graph) for graph in self.graphs]
        lines.append(f"bytes at equal PSNR ({low:.1f} to {high:.1f} dB): {rate}")
        lines.append(f"PSNR at equal bytes: {self.psnr_change_db:+.3f} dB")
        lines.append(f"symbols that differ: {self.changed_symbols:.2%}; either decodes the streams of the other")
        if not any(graph.timing.gains for graph in self.graphs):
            before = sum(graph.fp32_bytes for graph in self.graphs)
            smaller = sum(graph.variant_bytes for graph in self.graphs) < (1 - LEAST_SAVED) * before
            found, remedy = ("time", "take it for its size, or") if smaller else ("time or size", "take it")
            lines.append(f"NO GAIN in {found} on this machine: {remedy} for another machine")
        return lines


@dataclass(frozen=True)
class RatePoint:
    """One quality over all images; pairs are of the float32 bundle and of the variant.

    Attributes:
        quality: of the streams.
        payload: bytes of payload.
        squared_error: mean squared error of the decoded images, of 255 squared.
        symbols: symbols of all images.
        changed: symbols that the two encoders wrote differently.
        undecoded: symbols that one decoder read differently from the other, in streams of either.
        pixel_difference: root mean square, of 255, between the two decoders' pixels of the same symbols.
    """

    quality: int
    payload: tuple[int, int]
    squared_error: tuple[float, float]
    symbols: int
    changed: int
    undecoded: int
    pixel_difference: float


def measure_rates(reference: Codec, variant: Codec, images: Sequence[Pixels]) -> list[RatePoint]:
    """Compress every image with both at each quality, and decode each stream with both."""
    return [_rate_point(reference, variant, images, quality) for quality in QUALITIES]


def check_rates(points: Sequence[RatePoint], precision: str, images: Sequence[Pixels]) -> Parity:
    """Return what was measured against the limits of a precision."""
    limits = LIMITS[precision]
    symbols = sum(point.symbols for point in points)
    losses = [_psnr(point.squared_error[0]) - _psnr(point.squared_error[1]) for point in points]
    growth = [point.payload[1] / max(point.payload[0], 1) - 1 for point in points]
    where = "at the worst quality"
    checks = (
        Check("symbols that the other bundle decodes otherwise", sum(point.undecoded for point in points), 0, ""),
        Check(
            "pixel difference, same symbols",
            max(point.pixel_difference for point in points),
            limits.pixel_rms,
            f"of 255, root mean square, {where}",
        ),
        Check("PSNR loss", float(np.max(losses)), limits.psnr_db, f"dB, {where}"),
        Check("symbols that differ", sum(point.changed for point in points) / symbols, limits.symbol_share, "of all"),
        Check("payload growth", float(np.max(growth)), limits.bytes_share, f"of the bytes, {where}"),
    )
    shapes = tuple((1, image.shape[0], image.shape[1]) for image in images)
    return Parity(checks, QUALITIES, shapes, points[0].symbols)


def price_of(points: Sequence[RatePoint], graphs: Sequence[GraphPrice], threads: int) -> Price:
    """Return BD-rate and change of PSNR from the points, in addition to what the graphs showed."""
    curves = [
        ([float(point.payload[side]) for point in points], [_psnr(point.squared_error[side]) for point in points])
        for side in (0, 1)
    ]
    span = max(min(qualities) for _, qualities in curves), min(max(qualities) for _, qualities in curves)
    difference = compare_curves(curves[1], curves[0], span, ("the variant", "float32")) if span[0] < span[1] else None
    return Price(
        graphs=tuple(graphs),
        bd_rate_percent=difference.percent if difference else None,
        psnr_range_db=span,
        psnr_change_db=_psnr_change(curves[1], curves[0]),
        changed_symbols=sum(point.changed for point in points) / sum(point.symbols for point in points),
        points=tuple(_plain(point) for point in points),
        threads=threads,
    )


def time_graphs(
    reference: bytes, variant: bytes, feed: Feed, options: SessionOptions, turns: int | None = None
) -> Timing:
    """Let two graphs take turns on one input.

    Each always follows the other: a small graph is a tenth faster right after itself.
    """
    sessions = [open_session(graph, options, role="graph") for graph in (reference, variant)]
    for session in sessions * 2:
        session.run(feed)
    times = np.array([[_milliseconds(sessions[which], feed) for which in (0, 1, 0, 1)] for _ in range(turns or TURNS)])
    ours, theirs = times[:, 0::2], times[:, 1::2]
    own = ours[:, 0] / ours[:, 1]
    low, high = np.quantile(own, (0.25, 0.75))
    noise = max(abs(float(np.median(own)) - 1), float(high - low) / 2)
    speed = float(np.median(ours.sum(axis=1) / theirs.sum(axis=1)))
    return Timing(float(np.median(ours)), float(np.median(theirs)), speed, noise)


def _rate_point(reference: Codec, variant: Codec, images: Sequence[Pixels], quality: int) -> RatePoint:
    payload, squared, pixels = np.zeros(2, np.int64), np.zeros(2), 0
    symbols = changed = undecoded = 0
    apart = np.zeros(2)
    for image in images:
        streams = [codec.compress(image, quality, stored_tiles=False) for codec in (reference, variant)]
        found = [[codec.decompress_symbols(stream) for codec in (reference, variant)] for stream in streams]
        restored = [[codec.decompress(stream) for codec in (reference, variant)] for stream in streams]
        payload += [stream_info(stream).payload_bytes for stream in streams]
        squared += [_squared(restored[side][side], image) for side in (0, 1)]
        undecoded += sum(int(np.count_nonzero(pair[0] != pair[1])) for pair in found)
        changed += int(np.count_nonzero(found[0][0] != found[1][1]))
        symbols += len(found[0][0])
        apart += [_squared(*pair) for pair in restored]
        pixels += image.size
    errors, difference = squared / pixels, float(np.sqrt(apart.max() / pixels))
    sizes = int(payload[0]), int(payload[1])
    return RatePoint(quality, sizes, (float(errors[0]), float(errors[1])), symbols, changed, undecoded, difference)


def _squared(first: Pixels, second: Pixels) -> float:
    return float(np.square(first.astype(np.float64) - second).sum())


def _psnr(squared_error: float) -> float:
    return 10 * float(np.log10(255**2 / max(squared_error, 1e-9)))


def _psnr_change(ours: tuple[list[float], list[float]], theirs: tuple[list[float], list[float]]) -> float:
    """Mean difference of PSNR over the bytes that both curves cover, on a logarithmic scale."""
    curves = [monotone(*curve) for curve in (ours, theirs)]
    low, high = max(rates[0] for rates, _ in curves), min(rates[-1] for rates, _ in curves)
    places = np.linspace(np.log(low), np.log(max(high, low)), 33)
    first, second = (np.interp(places, np.log(rates), values) for rates, values in curves)
    return float(np.mean(first - second))


def _plain(point: RatePoint) -> dict[str, float]:
    values: dict[str, float] = {"quality": point.quality}
    for side, name in enumerate(("fp32", "variant")):
        values[f"{name}_bytes"] = point.payload[side]
        values[f"{name}_psnr_db"] = _psnr(point.squared_error[side])
    return {**values, "changed_symbols": point.changed / point.symbols}


def _milliseconds(session: Session, feed: Feed) -> float:
    start = time.perf_counter()
    session.run(feed)
    return (time.perf_counter() - start) * 1e3
