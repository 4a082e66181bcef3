"""Starting point of a decoder that is trained alone: the weights and tables of the streams that it must decode."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from aeedge.models import OwnNetwork
from aeedge_export.draft import Progress, build_draft
from aeedge_export.graphs.canonical import array_bytes
from aeedge_export.source import load_source
from aeedge_export.tables.keep import is_rounded, tables_of
from aeedge_export.weights import with_float16_weights
from aeedge_runtime.bundle.bundle import Bundle, BundleSource


@dataclass(frozen=True)
class DecoderStart:
    """Weights and tables of existing streams.

    Attributes:
        weights: of the whole model, by name; encoder and prior are the ones that wrote the streams.
        tables: of these streams, as `entropy.npz`.
    """

    weights: Mapping[str, Tensor]
    tables: bytes


def decoder_start(
    run: Path | str,
    tables_from: BundleSource | None = None,
    progress: Progress | None = None,
    network: OwnNetwork | None = None,
) -> DecoderStart:
    """Return the starting point of a new decoder for a run's streams; exported, it keeps their stream id.

    Args:
        run: folder that `aeedge train` wrote.
        tables_from: the bundle that wrote the streams; None for the one that an export of the run gives. If its
            weights were rounded (`--store-float16`), the ones returned are too.
        progress: called with one line per stage.
        network: the own network of the run, if it is of one.

    Raises:
        ArgumentError: the bundle has another encoder, or the run's images are gone.
        InputError: the run is damaged.
        ExportError: the model cannot be exported.
    """
    from aeedge.training.run.folder import load_run

    if tables_from is None:
        source = load_source(run, network=network)
        arrays = dict(source.tables) or build_draft(source, None, progress or (lambda line: None))[0].arrays
        return DecoderStart(source.model.state_dict(), array_bytes(arrays))
    model, bundle = load_run(run, network=network).model, Bundle.load(tables_from)
    if is_rounded(bundle, model):
        model = with_float16_weights(model)
    return DecoderStart(model.state_dict(), array_bytes(tables_of(bundle, model)))
