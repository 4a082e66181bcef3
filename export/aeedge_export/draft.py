"""A bundle before it is written: graphs, tables and manifest in memory."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import onnx_ir
from numpy.typing import NDArray

from aeedge.models import Autoencoder
from aeedge_export.checks.receptive_field import network_reach
from aeedge_export.frozen import double_copy, frozen_copy
from aeedge_export.graphs.build import export_graphs
from aeedge_export.graphs.canonical import array_bytes, graph_bytes, manifest_bytes, zip_bytes
from aeedge_export.networks.adapted import AdaptedAutoencoder
from aeedge_export.prior.exact_prior import check_exact, prior_facts
from aeedge_export.prior.fitted import FittedAutoencoder
from aeedge_export.source import Source
from aeedge_export.tables.calibrate import Calibration, calibrate, check_outputs
from aeedge_export.tables.keep import tables_of
from aeedge_export.weights import PRIOR, check_weights, encoder_hash, weight_hash
from aeedge_runtime._version import __version__
from aeedge_runtime.bundle.bundle import Bundle, BundleSource
from aeedge_runtime.bundle.manifest import HALVES, SCHEMA, AnomalyFacts
from aeedge_runtime.bundle.stream_id import arrays_hash, geometry_hash, stream_id
from aeedge_runtime.limits import MAX_DIMENSION, MAX_PIXELS

BAND_PIXELS = 1 << 23
"""Pixels above which the runtime cuts an image into bands. At 24 megapixels `photo` takes 0.3 GB above the image in
bands, but 1.0 GB at once to compress and 1.5 GB to decompress, and is not faster: small tiles suit the caches."""

NEVER = MAX_DIMENSION**2
"""Pixels that no image has: a network that looks at the whole image never runs on tiles."""

GRAPH_HALVES = {
    "encoder": ("encoder",),
    "decoder": ("decoder",),
    "decoder_lite": ("decoder",),
    "decoder_preview": ("decoder",),
    "hyper_encoder": ("encoder",),
}
"""Role of a graph -> halves that need it. Both halves need the graphs of a prior, which are not listed."""

Progress = Callable[[str], None]


@dataclass
class Draft:
    """A bundle in memory.

    Attributes:
        model: in evaluation mode.
        name: name of the bundle.
        family: family of the model.
        preset: preset that the run started from, or "".
        training: free summary.
        graphs: role -> canonical graph.
        arrays: content of `entropy.npz`.
        extra: further files, golden vectors and parity.json.
        overlap: receptive field of the networks, in latent rows or columns.
        max_pixels: pixels of one call, by default.
        band_pixels: pixels above which an image goes through the networks in tiles.
        anomaly: the threshold of anomaly scores, or None.
    """

    model: Autoencoder
    name: str
    family: str
    preset: str
    training: Mapping[str, Any]
    graphs: dict[str, onnx_ir.Model]
    arrays: dict[str, NDArray[np.generic]]
    extra: dict[str, bytes] = field(default_factory=dict)
    overlap: int = 0
    max_pixels: int = MAX_PIXELS
    band_pixels: int = BAND_PIXELS
    anomaly: AnomalyFacts | None = None

    def files(self, halves: tuple[str, ...] = HALVES) -> dict[str, bytes]:
        """Return name -> bytes of every file, manifest included.

        Args:
            halves: the sides that the bundle serves; files of the other are left out.
        """
        identity = self.identity()
        files = {"entropy.npz": array_bytes(self.arrays)}
        for role, graph in self.graphs.items():
            if set(GRAPH_HALVES.get(role, HALVES)) & set(halves):
                files[f"{role}.onnx"] = graph_bytes(graph, self._properties(role, identity["stream_id"]))
        files |= {name: data for name, data in self.extra.items() if belongs(name, halves)}
        files["manifest.json"] = self._manifest(files, halves, identity)
        return files

    def bundle(self) -> Bundle:
        """Return the draft as the runtime sees it, both halves."""
        return Bundle.load(zip_bytes(self.files()))

    def identity(self) -> dict[str, Any]:
        """Return stream id and its parts."""
        sections = self._sections()
        parts = {
            "encoder": encoder_hash(self.model),
            "prior": weight_hash(self.model, PRIOR),
            "tables": arrays_hash(self.arrays),
            "geometry": geometry_hash(*sections.values()),
        }
        return {"stream_id": stream_id(parts).hex(), "stream_id_parts": parts}

    def _sections(self) -> dict[str, Any]:
        """Return the manifest's sections that the geometry hash covers, in its order."""
        prior: dict[str, Any] = {"kind": "factorized"}
        if self.model.exact_prior:
            facts = prior_facts(self.model.exact_prior)
            prior = {**asdict(facts), "groups": list(facts.groups)}
            if len(facts.groups) == 1:
                del prior["groups"]
        image = {"channels": self.model.channels, "stride": list(self.model.stride), "patched": self.model.patched}
        return {"image": image, "latent": {"channels": self.model.latent_channels}, "prior": prior}

    def _properties(self, role: str, stream: str) -> dict[str, str]:
        values = {
            "role": role,
            "family": self.family,
            "preset": self.preset,
            "stride": "x".join(map(str, self.model.stride)),
            "channels": str(self.model.channels),
            "latent_channels": str(self.model.latent_channels),
            "stream_id": stream,
        }
        return {f"aeedge.{key}": value for key, value in values.items()}

    def _manifest(self, files: Mapping[str, bytes], halves: tuple[str, ...], identity: Mapping[str, Any]) -> bytes:
        facts = {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()}
        values = {
            "schema": SCHEMA,
            "name": self.name,
            "family": self.family,
            "preset": self.preset,
            "created_by": f"aeedge {__version__}",
            **identity,
            **self._sections(),
            "halves": list(halves),
            "files": facts,
            "limits": {"max_pixels": self.max_pixels, "band_pixels": self.band_pixels, "overlap": self.overlap},
            "anomaly": asdict(self.anomaly) if self.anomaly else None,
            "training": dict(self.training),
        }
        return manifest_bytes(values)


def belongs(name: str, halves: tuple[str, ...]) -> bool:
    """Return whether a golden file serves one of the halves: inputs need an encoder, decoded images a decoder."""
    if name.endswith(".decoded.png"):
        return "decoder" in halves
    return "encoder" in halves or not name.endswith(".png")


def build_draft(source: Source, tables_from: BundleSource | None, say: Progress) -> tuple[Draft, Calibration | None]:
    """Export the graphs and fit the tables, or keep those of another bundle.

    Raises:
        ArgumentError: that bundle is of another model.
        ExportError: the model cannot be exported.
    """
    check_weights(source.model)
    if source.model.exact_prior:
        check_exact(source.model.exact_prior)
    kept = tables_of(Bundle.load(tables_from), source.model) if tables_from is not None else dict(source.tables)
    model = frozen_copy(source.model)
    check_outputs(model, source.calibration, allow_dead=source.allow_dead)
    say("graphs: torch.onnx.export")
    graphs = export_graphs(model)
    calibration = None
    if not kept:
        say(f"tables: calibration on {len(source.calibration)} images")
        calibration = calibrate(model, graphs, source.calibration)
        kept = calibration.arrays
    draft = Draft(source.model, source.name, source.family, source.preset, source.training, graphs, kept)
    if isinstance(model, FittedAutoencoder):
        limits = model.limits
        draft.overlap, draft.max_pixels, draft.band_pixels = limits.overlap, limits.max_pixels, limits.band_pixels
    elif isinstance(model, AdaptedAutoencoder) and model.whole:
        draft.max_pixels, draft.band_pixels = model.whole, NEVER
    else:
        draft.overlap = network_reach(double_copy(model), kept["steps"], source.calibration)
    return draft, calibration
