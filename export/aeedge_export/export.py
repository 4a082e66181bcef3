"""From a trained model to a bundle: graphs, tables, parity gate, golden vectors, files."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aeedge.models import Autoencoder, OwnNetwork
from aeedge_export.checks.anomaly import DEFAULT_RATE, FEWEST_IMAGES
from aeedge_export.checks.anomaly import calibrate as calibrate_anomaly
from aeedge_export.checks.parity import Parity
from aeedge_export.checks.parity_gate import measure_parity
from aeedge_export.checks.quality_monotonic import check_ladder, ladder_images
from aeedge_export.checks.rates import rate_table
from aeedge_export.decoders import IMAGES, QUALITY, MoreDecoders, add_decoders, check_lite, load_lite
from aeedge_export.draft import Progress, build_draft
from aeedge_export.golden import golden_files
from aeedge_export.precision.request import Request, check_half
from aeedge_export.precision.variant import Variant, derive, half_of
from aeedge_export.report import ExportReport
from aeedge_export.source import Source, load_source
from aeedge_export.weights import PRIOR, encoder_hash, weight_hash, with_float16_weights
from aeedge_export.writer import check_target, write_bundle
from aeedge_runtime.bundle.bundle import Bundle, BundleSource
from aeedge_runtime.bundle.manifest import HALVES, AnomalyFacts
from aeedge_runtime.codec import Codec
from aeedge_runtime.errors import ArgumentError

Half = Literal["encoder", "decoder"]


def export_run(
    run: Path | str,
    out: Path | str,
    *,
    only: Half | None = None,
    precision: str = "fp32",
    quantize: str | None = None,
    target: str | None = None,
    force: bool = False,
    checkpoint: Literal["best", "last"] = "best",
    store_float16: bool = False,
    tables_from: BundleSource | None = None,
    data: str | None = None,
    data_dir: str | None = None,
    false_positive_rate: float = DEFAULT_RATE,
    network: OwnNetwork | None = None,
    force_dead: bool = False,
    lite: Path | str | None = None,
    progress: Progress | None = None,
) -> ExportReport:
    """Export a run folder as a bundle.

    Args:
        run: folder that `aeedge train` wrote.
        out: folder, or a name that ends in `.aeb` for one file.
        only: write one half of the bundle, for a device that needs one side.
        precision: "fp32", "fp16" or "int8"; see `aeedge_export.precision.variant`.
        quantize: "encoder" or "decoder", to change the precision of this graph only.
        target: processor that 8-bit graphs are for, see `precision.int8.TARGETS`; None for this machine's.
        force: replace an existing bundle.
        checkpoint: "best" or "last".
        store_float16: round the weights to float16 first: the graphs take half the space, arithmetic stays float32, and
            the stream id changes.
        tables_from: a bundle of the same encoder whose tables, and therefore stream id, are kept. A run that trained
            its decoder alone keeps the tables of its streams without this.
        data: current path of the run's images, or the name of their data set; None if they have not moved.
        data_dir: the same for the files of a data set.
        false_positive_rate: share of normal images that the threshold of anomaly scores may take for anomalous.
        network: the own network of the run: a run names its network's file but never loads it.
        force_dead: export a model whose latents are the same for every image.
        lite: run that trained a smaller decoder for the streams of `run`; the bundle gets it as its lite decoder.
        progress: called with one line per stage.

    Raises:
        ArgumentError: the target exists, or an option does not apply.
        InputError: the run is damaged.
        ExportError: the model cannot be exported.
        ParityError: the graphs do not compute what PyTorch computes; nothing is written.
    """
    request = Request.parse(precision, quantize, target)
    check_half(only, request)
    check_target(Path(out), force=force)
    source = replace(load_source(run, checkpoint, data, data_dir, network), allow_dead=force_dead)
    if lite is not None:
        source = replace(source, lite=load_lite(lite, store_float16=store_float16))
    if store_float16:
        source = replace(source, model=with_float16_weights(source.model))
    return export_source(
        source,
        out,
        only=only,
        request=request,
        force=force,
        tables_from=tables_from,
        false_positive_rate=false_positive_rate,
        progress=progress,
    )


def export_source(
    source: Source,
    out: Path | str,
    *,
    only: Half | None = None,
    request: Request | None = None,
    force: bool = False,
    tables_from: BundleSource | None = None,
    false_positive_rate: float = DEFAULT_RATE,
    progress: Progress | None = None,
) -> ExportReport:
    """Export a model that is in memory; see `export_run`. `request` asks for another precision than float32."""
    target, say = Path(out), progress or (lambda line: None)
    check_half(only, request)
    check_target(target, force=force)
    if source.lite is not None:
        model = source.model
        check_lite({"encoder": encoder_hash(model), "prior": weight_hash(model, PRIOR)}, source.lite)
    draft, calibration = build_draft(source, tables_from, say)
    if not source.model.patched:
        say("more decoders: lite and preview" if source.lite else "preview decoder: least squares")
    decoders = MoreDecoders.of(Codec.load(draft.bundle()), source.lite, source.calibration)
    draft.graphs |= decoders.graphs()
    draft.overlap = max(draft.overlap, decoders.reach(draft.arrays["steps"], source.calibration))
    say("parity gate: PyTorch against the bundle")
    bundle = draft.bundle()
    checks, decoder_facts = decoders.check(bundle, source.held_out)
    parity = measure_parity(source.model, bundle, source.held_out)
    parity = replace(parity, checks=(*parity.checks, *checks))
    parity.require()
    codec = Codec.load(bundle)
    draft.extra["parity.json"] = (json.dumps(parity.as_dict(), indent=2) + "\n").encode()
    draft.extra |= golden_files(codec, source.held_out)
    draft.anomaly = calibrate_anomaly(codec, source.normal, false_positive_rate)
    facts = {**(calibration.facts if calibration else {}), "anomaly_threshold": _threshold_line(draft.anomaly, source)}
    facts |= decoder_facts
    if source.model.exact_prior:
        say("quality ladder: qualities from 1 to 100 on real images")
        facts["ladder"] = check_ladder(codec, ladder_images(source.model, source.calibration))
    if request is not None:
        variant = derive(draft.bundle(), request, source.calibration, source.held_out, say)
        return _write_variant(variant, target, only, facts, force=force)
    facts["rates"] = rate_table(codec, source.held_out)
    files = draft.files((only,) if only else HALVES)
    write_bundle(target, files, force=force)
    return ExportReport.of(files, target, only, parity, facts)


def export_bundle(
    bundle: BundleSource,
    out: Path | str,
    images: Sequence[NDArray[np.uint8]],
    *,
    precision: str = "fp32",
    only: Half | None = None,
    quantize: str | None = None,
    target: str | None = None,
    force: bool = False,
    lite: Path | str | None = None,
    store_float16: bool = False,
    progress: Progress | None = None,
) -> ExportReport:
    """Write a float32 bundle in another precision, or with more decoders, without the run that it came from.

    Args:
        bundle: folder, `.aeb` file or name of a shipped bundle.
        out: as in `export_run`, as are the other options.
        images: uint8 `[H, W, C]`, like those the bundle is used for: every other one calibrates, the rest measure.
        precision: "fp16" or "int8"; "fp32" with `lite`.
        only: write one half.
        quantize: the only graph to change.
        target: processor that 8-bit graphs are for.
        force: replace an existing bundle.
        lite: run that trained a smaller decoder for the streams of the bundle, which gets it, and a preview decoder.
        store_float16: round the weights of the lite decoder to float16, which halves its graph.
        progress: called with one line per stage.

    Raises:
        ArgumentError: an option does not apply, or there are fewer than two images.
        ExportError: a graph cannot be quantized.
        ParityError: the result is further from float32 than its precision may be; nothing is written.
    """
    request = Request.parse(precision, quantize, target)
    check_half(only, request)
    check_target(Path(out), force=force)
    if lite is not None:
        if request is not None:
            raise ArgumentError("a lite decoder joins a float32 bundle; change the precision afterwards")
        model = load_lite(lite, store_float16=store_float16)
        return _with_decoders(Bundle.load(bundle), Path(out), images, only, model, force=force)
    if request is None:
        raise ArgumentError("a bundle is already in fp32; choose --precision fp16 or int8, or --lite RUN")
    variant = derive(Bundle.load(bundle), request, images[::2], images[1::2], progress or (lambda line: None))
    return _write_variant(variant, Path(out), only, {}, force=force)


def _with_decoders(
    bundle: Bundle,
    target: Path,
    images: Sequence[NDArray[np.uint8]],
    only: Half | None,
    lite: Autoencoder,
    *,
    force: bool,
) -> ExportReport:
    for half in HALVES:
        bundle.require(half, "more decoders")
    files, checks, facts = add_decoders(bundle, lite, images)
    parity = Parity(checks, (QUALITY,), tuple((1, *image.shape[:2]) for image in images[1::2][:IMAGES]), 0)
    parity.require()
    files = half_of(files, only) if only else files
    write_bundle(target, files, force=force)
    return ExportReport.of(files, target, only, parity, facts)


def _write_variant(
    variant: Variant, target: Path, only: str | None, facts: dict[str, object], *, force: bool
) -> ExportReport:
    variant.parity.require("the variant is too far from the float32 bundle")
    files = half_of(variant.files, only) if only else variant.files
    write_bundle(target, files, force=force)
    return ExportReport.of(files, target, only, variant.parity, facts, variant.price)


def _threshold_line(anomaly: AnomalyFacts | None, source: Source) -> str:
    """Say what the calibration of anomaly scores found, or why there is no threshold."""
    if source.model.exact_prior:
        return "none: a hyperprior reconstructs whatever it sees"
    if anomaly is None:
        have = len(source.normal)
        return f"none: {have} held-out images, {FEWEST_IMAGES} are needed; train with a larger data.held_out"
    return f"{anomaly.threshold:.4g} at a false-positive rate of {anomaly.false_positive_rate:.3g}"
