"""The manifest of a bundle: strict, versioned facts of one model. Every field is checked before it is used."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, Self

from ..errors import BundleError
from ..limits import MAX_DIMENSION
from .stream_id import STREAM_ID_PARTS, geometry_hash, stream_id

MANIFEST = "manifest.json"
SCHEMA = 1
FAMILIES = ("dense", "conv", "vae", "hyperprior")
HALVES = ("encoder", "decoder")
PRECISIONS = ("fp32", "fp16", "int8")

MAX_MANIFEST_BYTES = 1 << 22
"""Bytes of manifest.json: thousands of golden files and a long training summary fit."""

MAX_FILE_BYTES = (1 << 31) - 1
"""Bytes of one file: a graph is one protobuf message, which cannot be larger."""

MAX_GROUPS = 64
"""Channel groups of a prior: each is a graph to open and to run."""

MAX_CHANNELS = 65_536
"""Latent channels: far above any network, and keeps the products of the geometry small."""

FILE_NAME = re.compile(r"(golden/)?[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
"""Names of files in a bundle: plain, so that no name can lead outside the folder."""

_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ImageFacts:
    """Inputs and outputs of the graphs.

    Attributes:
        channels: 1 (gray) or 3 (RGB).
        stride: rows and columns of pixels per latent position; the patch size of a patched model.
        patched: whether the graphs take exactly one patch per batch entry.
    """

    channels: int
    stride: tuple[int, int]
    patched: bool


@dataclass(frozen=True)
class PriorFacts:
    """Model of the symbols.

    Attributes:
        kind: "factorized" or "hyperprior".
        channels: hyper-latent channels; 0 for a factorized prior.
        stride: latent rows and columns per hyper-latent position; 1 for a factorized prior.
        passes: over the first group: 1, or 2 for a checkerboard context.
        groups: latent channels of each group, coded one after the other; at least one for a hyperprior.
    """

    kind: str
    channels: int = 0
    stride: int = 1
    passes: int = 1
    groups: tuple[int, ...] = ()

    @property
    def graphs(self) -> tuple[str, ...]:
        """Roles of the graphs that predict tables and means, in coding order."""
        if self.kind == "factorized":
            return ()
        later = tuple(f"group_{number}" for number in range(1, len(self.groups)))
        return (*("prior", "context")[: self.passes], *later)

    def pass_channels(self) -> list[slice]:
        """Return the latent channels that each pass codes."""
        ends = [sum(self.groups[:number]) for number in range(len(self.groups) + 1)]
        channels = [slice(first, end) for first, end in pairwise(ends)]
        return [channels[0]] * (self.passes - 1) + channels


@dataclass(frozen=True)
class FileFacts:
    """Hex sha256 and size in bytes of one file."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class LimitFacts:
    """Limits of the model.

    Attributes:
        max_pixels: padded pixels of one call, by default.
        band_pixels: images, or batches, of more pixels go through the codec in blocks and the networks in tiles.
        overlap: reach of the networks in latent rows and columns, by which tiles overlap.
    """

    max_pixels: int
    band_pixels: int
    overlap: int


@dataclass(frozen=True)
class AnomalyFacts:
    """Calibration of the anomaly score, on normal images that the model was never trained on.

    Attributes:
        score: "mse", the mean squared error of the image's reconstruction, samples in 0..1.
        threshold: scores above it are anomalous.
        false_positive_rate: share of normal images above the threshold, in expectation, at most.
        images: normal images that decided the threshold.
    """

    score: str
    threshold: float
    false_positive_rate: float
    images: int


@dataclass(frozen=True)
class Manifest:
    """A checked manifest. Fields are those of manifest.json (see FORMAT.md)."""

    schema: int
    name: str
    family: str
    preset: str
    created_by: str
    stream_id: str
    stream_id_parts: Mapping[str, str]
    image: ImageFacts
    latent_channels: int
    prior: PriorFacts
    halves: tuple[str, ...]
    files: Mapping[str, FileFacts]
    limits: LimitFacts
    anomaly: AnomalyFacts | None
    training: Mapping[str, Any]
    precision: Mapping[str, str]

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse and check the bytes of manifest.json.

        Raises:
            BundleError: not JSON, an unknown or missing key, a value out of range, an id or hash that does not add up.
        """
        values = _object(_with_precision(_parse(data)), "manifest", _keys_of(cls))
        if values["schema"] != SCHEMA or type(values["schema"]) is not int:
            raise BundleError(f"manifest: schema is {values['schema']!r}, this reader knows {SCHEMA}; update aeedge")
        parts = _object(values["stream_id_parts"], "stream_id_parts", STREAM_ID_PARTS)
        manifest = cls(
            schema=SCHEMA,
            name=_text(values, "name"),
            family=_choice(values, "family", FAMILIES),
            preset=_text(values, "preset"),
            created_by=_text(values, "created_by"),
            stream_id=_text(values, "stream_id"),
            stream_id_parts={key: _part(parts, key) for key in STREAM_ID_PARTS},
            image=_image(values["image"]),
            latent_channels=_integer(_object(values["latent"], "latent", ("channels",)), "channels", 1, MAX_CHANNELS),
            prior=_prior(values["prior"], values["latent"]),
            halves=_halves(values["halves"]),
            files=_files(values["files"]),
            limits=_limits(values["limits"]),
            anomaly=None if values["anomaly"] is None else _anomaly(values["anomaly"]),
            training=_free(values, "training"),
            precision=_precision(values["precision"]),
        )
        manifest._check_ids(values)
        manifest._check_files()
        return manifest

    def _check_ids(self, values: Mapping[str, Any]) -> None:
        geometry = geometry_hash(values["image"], values["latent"], values["prior"])
        if geometry != self.stream_id_parts["geometry"]:
            raise BundleError(
                "manifest: the geometry hash does not fit image, latent and prior; export the bundle again"
            )
        computed = stream_id(self.stream_id_parts).hex()
        if computed != self.stream_id:
            raise BundleError(f"manifest: stream id is {self.stream_id!r}, its parts give {computed}; export again")
        if (self.family == "hyperprior") != (self.prior.kind == "hyperprior"):
            raise BundleError(f"manifest: family {self.family} cannot have a {self.prior.kind} prior")
        if (self.family == "dense") > self.image.patched:
            raise BundleError("manifest: family dense needs image.patched true")

    def _check_files(self) -> None:
        needed = {"entropy.npz", *(f"{half}.onnx" for half in self.halves)}
        if self.prior.kind == "hyperprior":
            needed |= {f"{role}.onnx" for role in self.prior.graphs}
            needed |= {"hyper_encoder.onnx"} if "encoder" in self.halves else set()
        missing = sorted(needed - self.files.keys())
        if missing:
            raise BundleError(f"manifest: files lacks {', '.join(missing)}, which this bundle needs; export it again")


def _parse(data: bytes) -> object:
    if len(data) > MAX_MANIFEST_BYTES:
        raise BundleError(f"manifest.json has {len(data)} bytes, at most {MAX_MANIFEST_BYTES} are read")
    try:
        text = data.decode("utf-8")  # json would take UTF-16 and byte order marks as well
        value: object = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(f"manifest.json is not JSON ({error}); the bundle is damaged") from error
    return value


def _with_precision(value: object) -> object:
    """Return the manifest with its one optional key; by default both graphs are in float32."""
    return {"precision": dict.fromkeys(HALVES, "fp32"), **value} if isinstance(value, dict) else value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise BundleError("manifest.json repeats a key; the bundle is damaged")
    return values


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise BundleError(f"manifest.json holds {text:.60}, which is beyond a float; expected finite numbers")
    return value


def _no_constant(name: str) -> object:
    raise BundleError(f"manifest.json holds {name}; expected finite numbers")


def _keys_of(cls: type[Manifest]) -> tuple[str, ...]:
    return tuple("latent" if field.name == "latent_channels" else field.name for field in fields(cls))


def _object(value: object, where: str, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return `value` if it is an object with exactly these keys."""
    if not isinstance(value, dict):
        raise BundleError(f"{where}: found {type(value).__name__}, expected an object with {', '.join(keys)}")
    for kind, names in (("unknown", value.keys() - set(keys)), ("missing", set(keys) - value.keys())):
        if names:
            raise BundleError(f"{where}: {kind} key {', '.join(repr(name) for name in sorted(names))}")
    return value


def _text(values: Mapping[str, Any], key: str) -> str:
    value = values[key]
    if not isinstance(value, str) or len(value) > 1000:
        raise BundleError(f"manifest: {key} is {value!r:.60}, expected a short text")
    return value


def _choice(values: Mapping[str, Any], key: str, choices: tuple[str, ...]) -> str:
    value = values[key]
    if value not in choices:
        raise BundleError(f"manifest: {key} is {value!r:.60}, expected one of {', '.join(choices)}")
    return str(value)


def _integer(values: Mapping[str, Any], key: str, low: int, high: int) -> int:
    value = values[key]
    if type(value) is not int or not low <= value <= high:
        raise BundleError(f"manifest: {key} is {value!r:.60}, expected an integer in {low}..{high}")
    return value


def _number(values: Mapping[str, Any], key: str, low: float, high: float) -> float:
    value = values[key]
    if type(value) not in (int, float) or not low <= value <= high:
        raise BundleError(f"manifest: {key} is {value!r:.60}, expected a number in {low}..{high}")
    return float(value)


def _free(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = values[key]
    if not isinstance(value, dict):
        raise BundleError(f"manifest: {key} is {value!r:.60}, expected an object")
    return value


def _part(parts: Mapping[str, Any], key: str) -> str:
    value = parts[key]
    if not isinstance(value, str) or not (_HASH.fullmatch(value) or (key == "prior" and value == "")):
        raise BundleError(f"manifest: stream_id_parts.{key} is {value!r:.80}, expected 64 hexadecimal digits")
    return value


def _image(value: object) -> ImageFacts:
    values = _object(value, "image", ("channels", "stride", "patched"))
    stride = values["stride"]
    if not isinstance(stride, list) or len(stride) != 2:
        raise BundleError(f"manifest: image.stride is {stride!r:.60}, expected two integers")
    rows, columns = (_integer({"image.stride": item}, "image.stride", 1, MAX_DIMENSION) for item in stride)
    channels = _integer(values, "channels", 1, 3)
    if channels == 2 or type(values["patched"]) is not bool:
        raise BundleError("manifest: image.channels must be 1 or 3, and image.patched true or false")
    return ImageFacts(channels, (rows, columns), values["patched"])


def _prior(value: object, latent: Mapping[str, Any]) -> PriorFacts:
    if isinstance(value, dict) and value.get("kind") == "hyperprior":
        whole = {"groups": [latent["channels"]], **value}
        values = _object(whole, "prior", ("kind", "channels", "stride", "passes", "groups"))
        return PriorFacts(
            "hyperprior",
            channels=_integer(values, "channels", 1, MAX_CHANNELS),
            stride=_integer(values, "stride", 1, 64),
            passes=_integer(values, "passes", 1, 2),
            groups=_groups(values["groups"], latent["channels"]),
        )
    return PriorFacts(_choice(_object(value, "prior", ("kind",)), "kind", ("factorized", "hyperprior")))


def _groups(value: object, channels: int) -> tuple[int, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_GROUPS:
        raise BundleError(f"manifest: prior.groups is {value!r:.60}, expected a list of 1 to {MAX_GROUPS} integers")
    groups = tuple(_integer({"prior.groups": item}, "prior.groups", 1, MAX_CHANNELS) for item in value)
    if sum(groups) != channels:
        raise BundleError(f"manifest: prior.groups sum to {sum(groups)}, expected the {channels} latent channels")
    return groups


def _halves(value: object) -> tuple[str, ...]:
    if value not in (["encoder"], ["decoder"], ["encoder", "decoder"]):
        raise BundleError(f"manifest: halves is {value!r:.60}, expected encoder, decoder or both in this order")
    return tuple(half for half in HALVES if half in value)


def _files(value: object) -> dict[str, FileFacts]:
    if not isinstance(value, dict):
        raise BundleError(f"manifest: files is {type(value).__name__}, expected an object")
    return {name: _file(name, facts) for name, facts in value.items()}


def _file(name: str, value: object) -> FileFacts:
    if not FILE_NAME.fullmatch(name) or name == "manifest.json":
        raise BundleError(f"manifest: file name {name!r:.120} is not allowed; expected a plain name, or one in golden/")
    values = _object(value, f"files[{name}]", ("sha256", "bytes"))
    if not isinstance(values["sha256"], str) or not _HASH.fullmatch(values["sha256"]):
        raise BundleError(f"manifest: files[{name}].sha256 is not 64 hexadecimal digits")
    return FileFacts(values["sha256"], _integer(values, "bytes", 0, MAX_FILE_BYTES))


def _precision(value: object) -> dict[str, str]:
    values = _object(value, "precision", HALVES)
    return {half: _choice(values, half, PRECISIONS) for half in HALVES}


def _limits(value: object) -> LimitFacts:
    values = _object(value, "limits", ("max_pixels", "band_pixels", "overlap"))
    return LimitFacts(
        max_pixels=_integer(values, "max_pixels", 1, MAX_DIMENSION**2),
        band_pixels=_integer(values, "band_pixels", 1, MAX_DIMENSION**2),
        overlap=_integer(values, "overlap", 0, MAX_DIMENSION),
    )


def _anomaly(value: object) -> AnomalyFacts:
    values = _object(value, "anomaly", ("score", "threshold", "false_positive_rate", "images"))
    return AnomalyFacts(
        score=_choice(values, "score", ("mse",)),
        threshold=_number(values, "threshold", 0, 1),
        false_positive_rate=_number(values, "false_positive_rate", 0, 1),
        images=_integer(values, "images", 1, MAX_DIMENSION**2),
    )
