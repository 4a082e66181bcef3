"""From a trained run to a bundle: graphs, calibration, parity gate, golden vectors, files."""

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from aeedge_export.checks.anomaly import DEFAULT_RATE, FEWEST_IMAGES
from aeedge_export.checks.anomaly import calibrate as calibrate_anomaly
from aeedge_export.checks.parity import Parity
from aeedge_export.checks.parity_cases import parity_cases
from aeedge_export.checks.parity_gate import Gate
from aeedge_export.checks.quality_monotonic import check_ladder
from aeedge_export.checks.receptive_field import network_reach
from aeedge_export.draft import Draft
from aeedge_export.errors import ExportError
from aeedge_export.golden import golden_files
from aeedge_export.graphs.build import export_graph, graph_specs
from aeedge_export.graphs.canonical import array_bytes
from aeedge_export.latents import crops
from aeedge_export.model import (
    HALVES,
    ExportableModel,
    check_exact,
    check_weights,
    double_copy,
    frozen_copy,
    has_hyperprior,
    weight_hash,
    with_half_weights,
)
from aeedge_export.precision.cost import Price
from aeedge_export.precision.int8 import find_target
from aeedge_export.precision.variant import Request, Variant, derive, half_of
from aeedge_export.tables.calibrate import Calibration, calibrate, check_outputs
from aeedge_export.writer import check_target, write_bundle
from aeedge_runtime.bundle.bundle import Bundle, BundleSource
from aeedge_runtime.bundle.manifest import PRECISIONS, AnomalyFacts
from aeedge_runtime.bundle.tables import read_arrays
from aeedge_runtime.codec import Codec
from aeedge_runtime.errors import AeedgeWarning, ArgumentError

PATCHED_IMAGES, CONVOLUTIONAL_IMAGES = 2000, 24
"""Calibration images: each gives one latent position, or hundreds."""

CHECK_IMAGES = 12
"""Held-out images for the gate and the golden vectors; a patched model takes as many as its symbols need."""

NORMAL_IMAGES = 100
"""Held-out images of a convolutional model that calibrate anomaly scores: with 99 a rate of 0.01 can be shown. A
hyperprior's model restores whatever it sees, so its errors tell nothing and it gets no threshold."""

LADDER_IMAGES, LADDER_SIDE = 4, 256
"""Images, and the side of their crops, on which a hyperprior's qualities are compared; tables of a factorised prior
show by themselves what they cost."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """What is exported.

    Attributes:
        model: any `aeedge.models.base.Autoencoder`.
        name: of the bundle.
        family: "dense", "conv", "vae" or "hyperprior".
        preset: that the run started from, or "".
        training: free summary for the manifest, plain values.
        calibration: images to fit tables on, uint8 `[H, W, C]`.
        held_out: images that the gate compares on.
        normal: images never trained on that calibrate the threshold of anomaly scores; too few give none.
        tables: that the model's streams are coded with already, where its decoder was trained alone; else empty.
    """

    model: ExportableModel
    name: str
    family: str
    preset: str
    training: Mapping[str, Any]
    calibration: Sequence[NDArray[np.uint8]]
    held_out: Sequence[NDArray[np.uint8]]
    normal: Sequence[NDArray[np.uint8]] = ()
    tables: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)


@dataclass(frozen=True)
class ExportReport:
    """What was written.

    Attributes:
        path: folder or `.aeb` file.
        stream_id: 16 hex digits.
        files: name -> bytes of each file of the bundle.
        total_bytes: of all files.
        parity: what the gate measured: against PyTorch, or, in another precision, against the float32 bundle.
        facts: tables, dead channels, bits per latent position at some qualities.
        next_commands: to go on with.
        price: cost and gain of a reduced precision on this machine, or None.
    """

    path: Path
    stream_id: str
    files: Mapping[str, int]
    total_bytes: int
    parity: Parity
    facts: Mapping[str, Any] = field(default_factory=dict)
    next_commands: tuple[str, ...] = ()
    price: Price | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "path": str(self.path),
            "stream_id": self.stream_id,
            "files": dict(self.files),
            "total_bytes": self.total_bytes,
            "facts": dict(self.facts),
            "parity": self.parity.as_dict(),
            "next_commands": list(self.next_commands),
            "price": self.price.as_dict() if self.price else None,
        }


def export_run(
    run: Path | str,
    out: Path | str,
    *,
    only: Literal["encoder", "decoder"] | None = None,
    precision: str = "fp32",
    quantise: str | None = None,
    target: str | None = None,
    force: bool = False,
    checkpoint: Literal["best", "last"] = "best",
    half_weights: bool = False,
    tables_from: BundleSource | None = None,
    data: str | None = None,
    data_dir: str | None = None,
    false_positive_rate: float = DEFAULT_RATE,
    progress: Progress | None = None,
) -> ExportReport:
    """Export a run folder as a bundle.

    Args:
        run: folder that `aeedge train` wrote.
        out: folder, or a name that ends in `.aeb` for one file.
        only: write one half of the bundle, for a device that needs one side.
        precision: "fp32", "fp16" or "int8"; see `aeedge_export.precision.variant`.
        quantise: "encoder" or "decoder": the only graph that the precision is for.
        target: processor that 8-bit graphs are for, see `precision.int8.TARGETS`; None for this machine's.
        force: replace a bundle that is there.
        checkpoint: "best" or "last".
        half_weights: round the weights to float16 first: the graphs take half the space, arithmetic stays float32, and
            the stream id is another.
        tables_from: a bundle of the same encoder whose tables, and so its stream id, are kept. A run that trained its
            decoder alone has the tables of its streams, and they are kept without this.
        data: where the run's images lie now, or the name of their data set; None for where they lay.
        data_dir: the same for the files of a data set.
        false_positive_rate: share of normal images that the threshold of anomaly scores may take for anomalous.
        progress: called with one line per stage.

    Raises:
        ArgumentError: the target exists, or an option does not apply.
        InputError: the run is damaged.
        ExportError: the model cannot be exported.
        ParityError: the graphs do not compute what PyTorch computes; nothing is written.
    """
    request = request_of(precision, quantise, target)
    check_options(Path(out), only, request, force=force)
    source = load_source(run, checkpoint, data, data_dir)
    if half_weights:
        source = replace(source, model=with_half_weights(source.model))
    return export_model(
        source,
        out,
        only=only,
        request=request,
        force=force,
        tables_from=tables_from,
        false_positive_rate=false_positive_rate,
        progress=progress,
    )


def export_model(
    source: Source,
    out: Path | str,
    *,
    only: Literal["encoder", "decoder"] | None = None,
    request: Request | None = None,
    force: bool = False,
    tables_from: BundleSource | None = None,
    false_positive_rate: float = DEFAULT_RATE,
    progress: Progress | None = None,
) -> ExportReport:
    """Export a model that is in memory; see `export_run`. `request` asks for another precision than float32."""
    target, say = Path(out), progress or (lambda line: None)
    check_options(target, only, request, force=force)
    draft, calibration = build_draft(source, tables_from, say)
    say("parity gate: PyTorch against the bundle")
    parity = run_gate(draft, source)
    parity.require()
    codec = Codec.load(draft.bundle())
    draft.extra["parity.json"] = (json.dumps(parity.as_dict(), indent=2) + "\n").encode()
    draft.extra |= golden_files(codec, source.held_out)
    draft.anomaly = calibrate_anomaly(codec, source.normal, false_positive_rate)
    facts = {**(calibration.facts if calibration else {}), "anomaly_threshold": threshold_line(draft.anomaly, source)}
    if has_hyperprior(source.model):
        say(f"ladder: {LADDER_IMAGES} images at qualities from 1 to 100")
        facts["ladder"] = check_ladder(codec, ladder_images(source))
    if request is not None:
        variant = derive(draft.bundle(), request, source.calibration, source.held_out, say)
        return _write_variant(variant, target, only, facts, force=force)
    files = draft.files((only,) if only else HALVES)
    write_bundle(target, files, force=force)
    return _report(files, target, only, parity, facts)


def export_bundle(
    place: BundleSource,
    out: Path | str,
    images: Sequence[NDArray[np.uint8]],
    *,
    precision: str,
    only: Literal["encoder", "decoder"] | None = None,
    quantise: str | None = None,
    target: str | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> ExportReport:
    """Write a float32 bundle in another precision; the run that it came from is not needed.

    Args:
        place: folder, `.aeb` file or name of a shipped bundle.
        out: as in `export_run`, as are the options.
        images: uint8 `[H, W, C]`, such as the bundle is used for: every other one is calibrated on, the rest measured.
        precision: "fp16" or "int8".
        only: write one half.
        quantise: the only graph to change.
        target: processor that 8-bit graphs are for.
        force: replace a bundle that is there.
        progress: called with one line per stage.

    Raises:
        ArgumentError: an option does not apply, or there are fewer than two images.
        ExportError: a graph cannot be quantised.
        ParityError: the result is further from float32 than its precision may be; nothing is written.
    """
    request = request_of(precision, quantise, target)
    if request is None:
        raise ArgumentError("found a bundle, which is in fp32 already; name a run, or --precision fp16 or int8")
    check_options(Path(out), only, request, force=force)
    variant = derive(Bundle.load(place), request, images[::2], images[1::2], progress or (lambda line: None))
    return _write_variant(variant, Path(out), only, {}, force=force)


def request_of(precision: str, quantise: str | None, target: str | None) -> Request | None:
    """Return what the options of a precision ask for; None for float32.

    Raises:
        ArgumentError: a value that is not known, or an option that does not apply.
    """
    if precision not in PRECISIONS:
        raise ArgumentError(f'precision: found "{precision}", expected {", ".join(PRECISIONS)}')
    if quantise not in (None, *HALVES):
        raise ArgumentError(f'quantise: found "{quantise}", expected "encoder" or "decoder"')
    if target is not None and precision != "int8":
        raise ArgumentError(f"target: applies to int8 only, found {precision}; leave it out")
    if precision == "fp32":
        if quantise is not None:
            raise ArgumentError("quantise: does not apply to fp32; name --precision fp16 or int8")
        return None
    return Request(precision, (quantise,) if quantise else HALVES, find_target(target))


def _write_variant(
    variant: Variant, target: Path, only: str | None, facts: Mapping[str, Any], *, force: bool
) -> ExportReport:
    variant.parity.require("the variant is too far from the float32 bundle")
    files = half_of(variant.files, only) if only else variant.files
    write_bundle(target, files, force=force)
    return replace(_report(files, target, only, variant.parity, facts), price=variant.price)


def _report(
    files: Mapping[str, bytes], target: Path, only: str | None, parity: Parity, facts: Mapping[str, Any]
) -> ExportReport:
    sizes = {name: len(data) for name, data in sorted(files.items())}
    stream = str(json.loads(files["manifest.json"])["stream_id"])
    return ExportReport(target, stream, sizes, sum(sizes.values()), parity, facts, next_commands(target, only))


def check_options(target: Path, only: str | None, request: Request | None, *, force: bool) -> None:
    """Refuse what cannot be done, before anything is loaded.

    Raises:
        ArgumentError: naming the option and what it takes.
    """
    if only is not None and only not in HALVES:
        raise ArgumentError(f'only: found "{only}", expected "encoder" or "decoder"')
    if only is not None and request is not None and only not in request.graphs:
        raise ArgumentError(
            f'quantise: found "{request.graphs[0]}", which "only: {only}" does not write; leave one out'
        )
    check_target(target, force=force)


def load_source(
    run: Path | str,
    checkpoint: Literal["best", "last"] = "best",
    data: str | None = None,
    data_dir: str | None = None,
) -> Source:
    """Load a run with the images that calibration and gate need; warns where they are not those it was trained on.

    Args:
        run: folder that `aeedge train` wrote.
        checkpoint: "best" or "last".
        data: where its images lie now, or None.
        data_dir: the same for the files of a data set.

    Raises:
        InputError: the run is damaged.
        ArgumentError: its data is not there any more.
    """
    from aeedge.training.data.datasets import are_same, run_images, sample_images, traits
    from aeedge.training.run.folder import load_run, read_tables

    loaded = load_run(run, checkpoint)
    tables = read_tables(loaded.path)
    model = cast(ExportableModel, loaded.model)
    lay = loaded.config.data
    config = replace(loaded.config, data=replace(lay, source=data or lay.source, data_dir=data_dir or lay.data_dir))
    try:
        trained, held_out = run_images(config, "train"), run_images(config, "held-out")
    except ArgumentError as error:
        raise ArgumentError(f"{error}; if the run's images lie elsewhere now, name the place with --data") from error
    if not are_same(loaded.images, traits(trained, held_out)):
        text = "found other images, or more or fewer, than the run was trained on; tables and limits are of these"
        warnings.warn(f"{config.data.source}: {text}", AeedgeWarning, stacklevel=2)
    seed = config.training.seed
    normal = sample_images(held_out, seed, PATCHED_IMAGES if model.patched else NORMAL_IMAGES)
    return Source(
        model=model,
        name=config.preset or str(config.model["family"]),
        family=str(config.model["family"]),
        preset=config.preset,
        training=loaded.summary,
        calibration=sample_images(trained, seed, PATCHED_IMAGES if model.patched else CONVOLUTIONAL_IMAGES),
        held_out=normal if model.patched else normal[:CHECK_IMAGES],
        normal=() if has_hyperprior(model) else normal,
        tables=read_arrays(tables) if tables is not None else {},
    )


@dataclass(frozen=True)
class DecoderStart:
    """What a decoder that is trained alone begins with.

    Attributes:
        weights: of the whole model, by name; the encoder's and the prior's are those that wrote the streams.
        tables: of these streams, as `entropy.npz`.
    """

    weights: Mapping[str, Tensor]
    tables: bytes


def decoder_start(
    run: Path | str, tables_from: BundleSource | None = None, progress: Progress | None = None
) -> DecoderStart:
    """Return what a new decoder for a run's streams begins with; exported, it has the stream id of the old one.

    Args:
        run: folder that `aeedge train` wrote.
        tables_from: the bundle that wrote the streams; None for what an export of the run gives. Weights are rounded
            where that bundle's were (`--half-weights`).
        progress: called with one line per stage.

    Raises:
        ArgumentError: the bundle is of another encoder, or the run's data is not there any more.
        InputError: the run is damaged.
        ExportError: the model cannot be exported.
    """
    from aeedge.training.run.folder import load_run

    if tables_from is None:
        source = load_source(run)
        arrays = dict(source.tables) or build_draft(source, None, progress or (lambda line: None))[0].arrays
        return DecoderStart(source.model.state_dict(), array_bytes(arrays))
    model, bundle = cast(ExportableModel, load_run(run).model), Bundle.load(tables_from)
    if _is_rounded(bundle, model):
        model = with_half_weights(model)
    return DecoderStart(model.state_dict(), array_bytes(tables_of(bundle, model)))


def kept_tables(source: Source, tables_from: BundleSource | None) -> dict[str, NDArray[np.generic]]:
    """Return the tables that a model is to keep; empty where it gets new ones."""
    return tables_of(Bundle.load(tables_from), source.model) if tables_from is not None else dict(source.tables)


def build_draft(source: Source, tables_from: BundleSource | None, say: Progress) -> tuple[Draft, Calibration | None]:
    """Export the graphs and fit the tables, or take them from another bundle.

    Raises:
        ExportError: the model cannot be exported.
    """
    check_weights(source.model)
    check_exact(source.model)
    arrays = kept_tables(source, tables_from)
    model = frozen_copy(source.model)
    check_outputs(model, source.calibration)
    say("graphs: torch.onnx.export")
    graphs = {role: export_graph(spec) for role, spec in graph_specs(model).items()}
    draft = Draft(source.model, source.name, source.family, source.preset, source.training, graphs, arrays)
    calibration = None
    if not arrays:
        say(f"tables: calibration on {len(source.calibration)} images")
        calibration = calibrate(model, graphs, source.calibration)
        draft.arrays = calibration.arrays
    draft.overlap = network_reach(double_copy(model), draft.arrays["steps"], source.calibration)
    return draft, calibration


def tables_of(bundle: Bundle, model: ExportableModel) -> dict[str, NDArray[np.generic]]:
    """Return the tables of a bundle that has the same encoder and prior.

    Raises:
        ArgumentError: it is of another model.
    """
    if not _has_encoder(bundle, model):
        if _is_rounded(bundle, model):
            raise ArgumentError(f"{bundle} was exported with --half-weights; give this option again")
        raise ArgumentError(f"{bundle} is of another encoder, its tables do not fit; leave out --tables-from")
    return dict(read_arrays(bundle.read("entropy.npz")))


def _has_encoder(bundle: Bundle, model: ExportableModel) -> bool:
    parts = bundle.manifest.stream_id_parts
    ours = weight_hash(model, ("encoder.",)), weight_hash(model, ("hyper_encoder.", "prior."))
    return ours == (parts["encoder"], parts["prior"])


def _is_rounded(bundle: Bundle, model: ExportableModel) -> bool:
    if _has_encoder(bundle, model):
        return False
    try:
        return _has_encoder(bundle, with_half_weights(model))
    except ExportError:  # float16 does not hold them
        return False


def run_gate(draft: Draft, source: Source) -> Parity:
    """Compare the draft with PyTorch on held-out images."""
    if not source.held_out:
        raise ExportError("the run's data has no held-out images to compare PyTorch and the bundle on")
    model = frozen_copy(source.model)
    gate = Gate(model, double_copy(model), Codec.load(draft.bundle()))
    return gate.measure(parity_cases(model, source.held_out))


def ladder_images(source: Source) -> Sequence[NDArray[np.uint8]]:
    """Return crops of a few calibration images."""
    return crops(source.calibration[:LADDER_IMAGES], source.model, LADDER_IMAGES * LADDER_SIDE**2, LADDER_SIDE)


def threshold_line(anomaly: AnomalyFacts | None, source: Source) -> str:
    """Return in words what the calibration of anomaly scores found, or why there is no threshold."""
    if has_hyperprior(source.model):
        return "none: a hyperprior restores whatever it sees"
    if anomaly is None:
        return (
            f"none: {len(source.normal)} held-out images, {FEWEST_IMAGES} are needed; train with a larger data.held_out"
        )
    return f"{anomaly.threshold:.4g} at a false-positive rate of {anomaly.false_positive_rate:.3g}"


def next_commands(target: Path, only: str | None) -> tuple[str, ...]:
    """Return the commands that a user is likely to run next."""
    commands = [f"aeedge verify {target}"]
    if only != "decoder":
        commands.append(f"aeedge compress IMAGE -m {target} -o IMAGE.aee")
    if only != "encoder":
        commands.append(f"aeedge decompress IMAGE.aee -m {target} -o IMAGE.png")
    return tuple(commands)
