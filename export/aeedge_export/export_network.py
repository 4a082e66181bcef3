"""Export a user's own network, torch or ONNX, to a bundle."""

from collections.abc import Mapping
from pathlib import Path

from aeedge_export.draft import Progress
from aeedge_export.export import Half, export_source
from aeedge_export.images import Data, split_images
from aeedge_export.networks.adapted import AdaptedAutoencoder
from aeedge_export.networks.checks import refuse_whole_view
from aeedge_export.networks.geometry import Size
from aeedge_export.networks.halves import Name, Network
from aeedge_export.networks.onnx_files import adapt_onnx
from aeedge_export.networks.pixels import Pixels
from aeedge_export.networks.tensors import Choice
from aeedge_export.networks.torch_pair import adapt, warn_of_pixels
from aeedge_export.networks.user_code import load_weights
from aeedge_export.precision.request import Request, check_half
from aeedge_export.report import ExportReport
from aeedge_export.source import Source
from aeedge_export.writer import check_target


def export_model(
    network: Network,
    out: Path | str,
    *,
    data: Data,
    name: str | None = None,
    weights: Path | None = None,
    origin: Mapping[str, str] | None = None,
    pixels: Pixels = "unit",
    encode: Name = None,
    decode: Name = None,
    latent: Choice = None,
    output: Choice = None,
    size: Size | None = None,
    tile: Size | None = None,
    whole: int | None = None,
    only: Half | None = None,
    precision: str = "fp32",
    quantize: str | None = None,
    target: str | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> ExportReport:
    """Export a trained network as a bundle.

    Args:
        network: one module with both halves, or a tuple of encoder and decoder.
        out: folder, or a name that ends in `.aeb` for one file.
        data: images like those that will be compressed: a folder, or arrays uint8 `[H, W, C]`.
        name: name of the bundle; None for that of the network's class.
        weights: file to load into the network first: `.safetensors` or a saved `state_dict`.
        origin: where the network came from, for the manifest; for people, nothing reads it.
        pixels: the numbers that the network expects for black and white; see `adapt`, as for the options down to
            `whole`.
        encode: the encoding half.
        decode: the decoding half.
        latent: which output of the encoder is the latent.
        output: which output of the decoder is the image.
        size: rows and columns of the only image that the network takes.
        tile: rows and columns of tiles for a network that looks at the whole image.
        whole: pixels up to which such a network takes an image whole.
        only: see `export_run`, as for the options that follow.
        precision: precision of the graphs.
        quantize: the only graph to change.
        target: processor that 8-bit graphs are for.
        force: replace an existing bundle.
        progress: called with one line per stage.

    Raises:
        ArgumentError: an option does not apply, or the images do not suit the network.
        InputError: weights that are damaged, or hold more than tensors.
        ExportError: the network cannot work as a codec; the message says what to change.
        ParityError: the graphs do not compute what PyTorch computes; nothing is written.
    """
    request = _checked(out, only, precision, quantize, target, force=force)
    if weights is not None:
        load_weights(network, weights)
    model = adapt(
        network,
        pixels=pixels,
        encode=encode,
        decode=decode,
        latent=latent,
        output=output,
        size=size,
        tile=tile,
        whole=whole,
    )
    first = network[0] if isinstance(network, tuple) else network
    source = _source(model, name or type(first).__name__, data, origin or {})
    return export_source(source, out, only=only, request=request, force=force, progress=progress)


def export_onnx(
    encoder: Path | str | bytes,
    decoder: Path | str | bytes,
    out: Path | str,
    *,
    data: Data,
    name: str = "onnx",
    pixels: Pixels = "unit",
    latent: int | str | None = None,
    output: int | str | None = None,
    size: Size | None = None,
    tile: Size | None = None,
    whole: int | None = None,
    only: Half | None = None,
    precision: str = "fp32",
    quantize: str | None = None,
    target: str | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> ExportReport:
    """Export two ONNX files as a bundle; options and errors are those of `adapt_onnx` and `export_model`."""
    request = _checked(out, only, precision, quantize, target, force=force)
    model = adapt_onnx(encoder, decoder, pixels=pixels, latent=latent, output=output, size=size, tile=tile, whole=whole)
    source = _source(model, name, data, {})
    return export_source(source, out, only=only, request=request, force=force, progress=progress)


def _checked(
    out: Path | str, only: Half | None, precision: str, quantize: str | None, target: str | None, *, force: bool
) -> Request | None:
    request = Request.parse(precision, quantize, target)
    check_half(only, request)
    check_target(Path(out), force=force)
    return request


def _source(model: AdaptedAutoencoder, name: str, data: Data, origin: Mapping[str, str]) -> Source:
    calibration, held_out = split_images(model, data)
    warn_of_pixels(model, calibration)
    if not model.whole:
        refuse_whole_view(model, calibration[0])
    facts = {**origin, "geometry": str(model.config), "pixels": model.pixels.name, "whole": model.whole}
    return Source(
        model=model,
        name=name,
        family="dense" if model.patched else "conv",
        preset="",
        training={"network": facts},
        calibration=calibration,
        held_out=held_out,
    )
