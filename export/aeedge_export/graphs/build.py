"""Export torch modules as ONNX graphs: uint8 pixels in, uint8 pixels out, every size that the family allows.

Each graph wraps one method of the model with its pre- or post-processing and is exported separately. Graphs are
canonical (`graphs.canonical`): the same weights give the same bytes, whatever the folder and the hash seed.
"""

import contextlib
import logging
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import onnx_ir
import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from aeedge.models import Autoencoder, VaeAutoencoder
from aeedge.models.exact_prior import ExactPrior
from aeedge_export.errors import ExportError
from aeedge_export.graphs.canonical import canonicalize
from aeedge_export.networks.onnx_pair import OnnxAutoencoder
from aeedge_export.prior.exact_prior import prior_facts
from aeedge_export.prior.fitted import FittedAutoencoder

OPSET = 18

EXAMPLE_BATCH = 2
"""One would make the exporter fix the batch; the examples are not square for the same reason."""

EXAMPLE_GRID = (6, 10)
"""Latent rows and columns of the example input."""

TERMINAL_COLOR = re.compile("\x1b\\[[0-9;]*m")


@dataclass(frozen=True)
class GraphSpec:
    """One graph before its export.

    Attributes:
        module: wraps the model.
        inputs: name -> example, in the order of `forward`.
        axes: name -> names of the dimensions, None where the size is fixed; inputs and outputs.
        stride: factors of an image's height and width.
    """

    module: nn.Module
    inputs: dict[str, Tensor]
    axes: dict[str, tuple[str | None, ...]]
    stride: tuple[int, int] = (1, 1)

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs, in order."""
        return [name for name in self.axes if name not in self.inputs]


class EncoderGraph(nn.Module):
    """Image uint8 `[N, H, W, C]` to latent float32 `[N, c, h, w]`."""

    def __init__(self, model: Autoencoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        """Scale to 0..1, encode."""
        return self.model.encode(image.permute(0, 3, 1, 2).to(torch.float32) / 255)


class PosteriorGraph(nn.Module):
    """Image uint8 `[N, H, W, C]` to mean and log variance, float32 `[N, c, h, w]` each."""

    def __init__(self, model: VaeAutoencoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Scale to 0..1, encode."""
        scaled = image.permute(0, 3, 1, 2).to(torch.float32) / 255
        return self.model.encode_distribution(scaled)


class DecoderGraph(nn.Module):
    """Latent float32 `[N, c, h, w]` to image uint8 `[N, H, W, C]`."""

    def __init__(self, model: Autoencoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, latent: Tensor) -> Tensor:
        """Decode, clamp, round half to even."""
        return quantize_pixels(self.model.decode(latent)).permute(0, 2, 3, 1)


class HyperEncoderGraph(nn.Module):
    """Latent in quantizer steps `[N, c, h, w]` to hyper-latent `[N, cz, ceil(h/4), ceil(w/4)]`, float32."""

    def __init__(self, prior: ExactPrior) -> None:
        super().__init__()
        self.hyper_encoder = prior.hyper_encoder

    def forward(self, latent_steps: Tensor) -> Tensor:
        """Summarize."""
        return cast(Tensor, self.hyper_encoder(latent_steps))


def quantize_pixels(image: Tensor) -> Tensor:
    """Return float pixels, nominally 0..1, as uint8: clamped, rounded half to even."""
    return image.clamp(0, 1).mul(255).round().to(torch.uint8)


def graph_specs(model: Autoencoder) -> dict[str, GraphSpec]:
    """Return role -> graph of everything the model needs at run time."""
    specs = {"encoder": _encoder_spec(model), "decoder": decoder_spec(model)}
    if model.exact_prior:
        specs |= _prior_specs(model, model.exact_prior)
    return specs


def export_graphs(model: Autoencoder) -> dict[str, onnx_ir.Model]:
    """Return role -> canonical graph of everything the model needs at run time.

    Raises:
        ExportError: see `export_graph`.
    """
    own = model.graphs() if isinstance(model, OnnxAutoencoder | FittedAutoencoder) else {}
    return own | {role: export_graph(spec) for role, spec in graph_specs(model).items() if role not in own}


def export_graph(spec: GraphSpec) -> onnx_ir.Model:
    """Export one graph and make it canonical.

    Raises:
        ExportError: the exporter refuses the model, or the graph holds what must not ship.
    """
    try:
        with torch.no_grad(), _quiet():
            program = torch.onnx.export(
                spec.module.eval(),
                tuple(spec.inputs.values()),
                dynamo=True,
                opset_version=OPSET,
                external_data=False,
                verbose=False,
                input_names=list(spec.inputs),
                output_names=spec.outputs,
                dynamic_shapes={name: _dynamic(spec, name) for name in spec.inputs},
            )
    except torch.onnx.errors.OnnxExporterError as error:
        name = type(spec.module).__name__
        raise ExportError(f"torch.onnx.export refused the {name}: {_cause(error)}") from error
    if program is None:
        raise ExportError(f"torch.onnx.export returned nothing for the {type(spec.module).__name__}")
    return canonicalize(program.model, spec.axes)


def _encoder_spec(model: Autoencoder) -> GraphSpec:
    rows, columns = (1, 1) if model.patched else EXAMPLE_GRID
    size = (rows * model.stride[0], columns * model.stride[1])
    image = torch.zeros(EXAMPLE_BATCH, *size, model.channels, dtype=torch.uint8)
    latent = _latent_axes(model)
    axes = {"image": _image_axes(model), "latent": latent}
    if not isinstance(model, VaeAutoencoder):
        return GraphSpec(EncoderGraph(model), {"image": image}, axes, model.stride)
    return GraphSpec(PosteriorGraph(model), {"image": image}, {**axes, "log_variance": latent}, model.stride)


def decoder_spec(model: Autoencoder) -> GraphSpec:
    """Return the graph of a model's decoder."""
    axes = {"latent": _latent_axes(model), "image": _image_axes(model)}
    return GraphSpec(DecoderGraph(model), {"latent": _example_latent(model)}, axes)


def preview_spec(decoder: nn.Module, channels: int) -> GraphSpec:
    """Return the graph of a preview decoder, which takes latents float32 `[N, channels, h, w]`."""
    latent = torch.zeros(EXAMPLE_BATCH, channels, *EXAMPLE_GRID)
    axes: dict[str, tuple[str | None, ...]] = {
        "latent": ("batch", None, "rows", "columns"),
        "image": ("batch", "height", "width", None),
    }
    return GraphSpec(decoder, {"latent": latent}, axes)


def _hyper_encoder_spec(model: Autoencoder, prior: ExactPrior) -> GraphSpec:
    hyper = ("batch", None, "hyper_rows", "hyper_columns")
    axes = {"latent_steps": _latent_axes(model), "hyper": hyper}
    return GraphSpec(HyperEncoderGraph(prior), {"latent_steps": _example_latent(model)}, axes)


def _prior_specs(model: Autoencoder, prior: ExactPrior) -> dict[str, GraphSpec]:
    """Return the hyper-encoder and the passes: two over the squares of the first group, then one per later group."""
    first, second, *later = prior.prior_passes()
    facts = prior_facts(prior)
    latent, (rows, columns) = _example_latent(model), EXAMPLE_GRID
    squares = torch.arange(0, rows * columns, 2)
    hyper = torch.zeros_like(prior.hyper_encoder(latent))
    inputs = {"hyper_symbols": hyper, "inside": torch.ones_like(latent[:, :1]), "squares": squares}
    with torch.no_grad():
        _, mean, *features = first(*inputs.values())
    grid = ("batch", None, "rows", "columns")
    asked, known = ("batch", None, None, "asked"), ("batch", None, None, "known")
    outputs = {"table_index": asked, "mean": asked}
    axes = {"hyper_symbols": ("batch", None, "hyper_rows", "hyper_columns"), "inside": grid, "squares": ("asked",)}
    features_axes = {"scale_features": grid, "mean_features": grid}
    shared = dict(zip(features_axes, features, strict=True))
    given = {**shared, "known_symbols": mean + 1, "known_latent": mean + 2}
    given |= {"place": torch.arange(rows * columns).reshape(rows, columns) // 2, "squares": squares[:-1]}
    more = {"known_symbols": known, "known_latent": known, "place": ("rows", "columns"), "squares": ("asked",)}
    specs = {
        "hyper_encoder": _hyper_encoder_spec(model, prior),
        "prior": GraphSpec(first, inputs, {**axes, **outputs, **features_axes}),
        "context": GraphSpec(second, given, {**features_axes, **more, **outputs}),
    }
    for role, module, channels in zip(facts.graphs[2:], later, facts.pass_channels()[2:], strict=True):
        given = {
            **shared,
            "known_symbols": latent[:, : channels.start] + 1,
            "known_latent": latent[:, : channels.start],
        }
        specs[role] = GraphSpec(module, given, dict.fromkeys([*given, *outputs], grid))
    return specs


def _example_latent(model: Autoencoder) -> Tensor:
    grid = (1, 1) if model.patched else EXAMPLE_GRID
    return torch.zeros(EXAMPLE_BATCH, model.latent_channels, *grid)


def _image_axes(model: Autoencoder) -> tuple[str | None, ...]:
    return ("batch", None, None, None) if model.patched else ("batch", "height", "width", None)


def _latent_axes(model: Autoencoder) -> tuple[str | None, ...]:
    return ("batch", None, None, None) if model.patched else ("batch", None, "rows", "columns")


def _dynamic(spec: GraphSpec, name: str) -> dict[int, Any]:
    """Return the free dimensions of an input; the sides of an image are declared as multiples of the stride.

    Networks whose inner sizes rely on that could not be exported otherwise.
    """
    axes = {place: axis for place, axis in enumerate(spec.axes[name]) if axis}
    if "height" not in axes.values():
        return axes
    rows, columns = spec.stride
    dimension = torch.export.Dim
    strided = {"height": rows * dimension("rows", min=1), "width": columns * dimension("columns", min=1)}
    return {place: strided.get(axis, dimension(axis)) for place, axis in axes.items()}


def _cause(error: BaseException) -> str:
    """Return the first line of the error at the root, without the exporter's report and terminal colors."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line for line in TERMINAL_COLOR.sub("", str(error)).strip().splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's own messages; its errors still surface.

    Distributions do not check their arguments meanwhile: a check depends on data, which a graph cannot.
    """
    logger = logging.getLogger("torch.onnx")
    level, validates = logger.level, Distribution._validate_args
    Distribution.set_default_validate_args(False)
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        Distribution.set_default_validate_args(validates)
