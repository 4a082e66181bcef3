import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tiny import BUNDLES

from aeedge_runtime import BundleError
from aeedge_runtime.bundle.manifest import MAX_MANIFEST_BYTES, AnomalyFacts, Manifest
from aeedge_runtime.bundle.stream_id import arrays_hash, canonical_json, geometry_hash, stream_id

SECTIONS = ("image", "latent", "prior", "limits", "stream_id_parts")


def values_of(name: str = "tiny-hyper") -> dict[str, Any]:
    values: dict[str, Any] = json.loads((BUNDLES / name / "manifest.json").read_bytes())
    return values


def parse(values: object) -> Manifest:
    return Manifest.from_bytes(json.dumps(values).encode())


def fit(values: dict[str, Any]) -> dict[str, Any]:
    values["stream_id_parts"]["geometry"] = geometry_hash(values["image"], values["latent"], values["prior"])
    values["stream_id"] = stream_id(values["stream_id_parts"]).hex()
    return values


def test_facts_are_read() -> None:
    manifest = parse(values_of())
    assert (manifest.family, manifest.image.channels, manifest.image.stride) == ("hyperprior", 3, (8, 8))
    assert (manifest.prior.channels, manifest.prior.stride, manifest.prior.passes) == (2, 4, 2)
    assert manifest.halves == ("encoder", "decoder")
    assert manifest.files["encoder.onnx"].bytes == (BUNDLES / "tiny-hyper" / "encoder.onnx").stat().st_size


@pytest.mark.parametrize("key", sorted(values_of()))
def test_every_key_is_needed(key: str) -> None:
    values = values_of()
    del values[key]
    with pytest.raises(BundleError, match=f"missing key '{key}'"):
        parse(values)


@pytest.mark.parametrize("section", ["", *SECTIONS])
def test_unknown_keys_are_named(section: str) -> None:
    values = values_of()
    (values[section] if section else values)["surprise"] = 1
    with pytest.raises(BundleError, match="unknown key 'surprise'"):
        parse(values)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_of_a_section_is_needed(section: str) -> None:
    for key in values_of()[section]:
        values = values_of()
        del values[section][key]
        with pytest.raises(BundleError):
            parse(values)


ANOMALY = {"score": "mse", "threshold": 0.02, "false_positive_rate": 0.01, "images": 400}


def test_anomaly_is_read() -> None:
    values = values_of()
    values["anomaly"] = ANOMALY
    assert parse(fit(values)).anomaly == AnomalyFacts("mse", 0.02, 0.01, 400)


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "schema": lambda v: v.update(schema=2),
    "schema true": lambda v: v.update(schema=True),
    "family": lambda v: v.update(family="gan"),
    "name": lambda v: v.update(name=7),
    "long name": lambda v: v.update(name="x" * 2000),
    "channels 2": lambda v: v["image"].update(channels=2),
    "channels true": lambda v: v["image"].update(channels=True),
    "stride": lambda v: v["image"].update(stride=[0, 8]),
    "stride of three": lambda v: v["image"].update(stride=[8, 8, 8]),
    "patched": lambda v: v["image"].update(patched=1),
    "latent channels": lambda v: v["latent"].update(channels=0),
    "latent channels float": lambda v: v["latent"].update(channels=8.0),
    "passes": lambda v: v["prior"].update(passes=3),
    "groups that are no list": lambda v: v["prior"].update(groups=8),
    "no group": lambda v: v["prior"].update(groups=[]),
    "an empty group": lambda v: v["prior"].update(groups=[8, 0]),
    "groups of other channels": lambda v: v["prior"].update(groups=[7]),
    "more groups than graphs": lambda v: v["prior"].update(groups=[3, 5]),
    "too many groups": lambda v: (v["latent"].update(channels=65), v["prior"].update(groups=[1] * 65)),
    "prior kind": lambda v: v["prior"].update(kind="magic"),
    "prior list": lambda v: v.update(prior=[]),
    "factorized hyperprior": lambda v: v.update(prior={"kind": "factorized"}),
    "dense unpatched": lambda v: v.update(family="dense", prior={"kind": "factorized"}),
    "halves": lambda v: v.update(halves=["decoder", "encoder"]),
    "no halves": lambda v: v.update(halves=[]),
    "files list": lambda v: v.update(files=[]),
    "file traversal": lambda v: v["files"].update({"../x": v["files"]["encoder.onnx"]}),
    "file absolute": lambda v: v["files"].update({"/etc/passwd": v["files"]["encoder.onnx"]}),
    "file manifest": lambda v: v["files"].update({"manifest.json": v["files"]["encoder.onnx"]}),
    "file hash": lambda v: v["files"]["encoder.onnx"].update(sha256="00"),
    "file size": lambda v: v["files"]["encoder.onnx"].update(bytes=-1),
    "file huge": lambda v: v["files"]["encoder.onnx"].update(bytes=1 << 40),
    "no encoder": lambda v: v["files"].pop("encoder.onnx"),
    "no prior": lambda v: v["files"].pop("prior.onnx"),
    "no context": lambda v: v["files"].pop("context.onnx"),
    "no tables": lambda v: v["files"].pop("entropy.npz"),
    "limits": lambda v: v["limits"].update(max_pixels=0),
    "overlap": lambda v: v["limits"].update(overlap=-1),
    "anomaly": lambda v: v.update(anomaly=3),
    "anomaly keys": lambda v: v.update(anomaly={"threshold": 0.1}),
    "anomaly score": lambda v: v.update(anomaly=ANOMALY | {"score": "feeling"}),
    "anomaly threshold": lambda v: v.update(anomaly=ANOMALY | {"threshold": -1}),
    "anomaly rate": lambda v: v.update(anomaly=ANOMALY | {"false_positive_rate": True}),
    "anomaly images": lambda v: v.update(anomaly=ANOMALY | {"images": 0}),
    "training": lambda v: v.update(training=None),
    "part": lambda v: v["stream_id_parts"].update(encoder="xyz"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_values_out_of_range_are_refused(change: Callable[[dict[str, Any]], object]) -> None:
    values = values_of()
    change(values)
    with pytest.raises(BundleError):
        parse(fit(values))


def test_stream_id_is_recomputed() -> None:
    values = values_of()
    values["stream_id"] = "0" * 16
    with pytest.raises(BundleError, match="its parts give"):
        parse(values)
    values = values_of()
    values["image"]["stride"] = [4, 8]
    with pytest.raises(BundleError, match="geometry hash"):
        parse(values)


def test_a_doubled_key_and_a_manifest_without_end_are_called_so() -> None:
    text = json.dumps(values_of() | {"training": {"loss": 1}})
    with pytest.raises(BundleError, match=r"^manifest\.json repeats a key"):
        Manifest.from_bytes(text.replace('"loss": 1', '"loss": 1, "loss": 2').encode())
    with pytest.raises(BundleError, match="at most 4194304 are read"):
        Manifest.from_bytes(text.encode() + b" " * (1 << 22))


def test_a_number_beyond_a_float_is_refused() -> None:
    values = values_of()
    values["training"] = {"loss": 0.5}
    text = json.dumps(values)
    assert Manifest.from_bytes(text.encode()).training == {"loss": 0.5}
    with pytest.raises(BundleError, match="1e999"):
        Manifest.from_bytes(text.replace("0.5", "1e999").encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"a": NaN}',
        b'{"a": 1, "a": 2}',
        b"[" * 100_000,
        b" " * (MAX_MANIFEST_BYTES + 1),
    ],
    ids=["empty", "cut", "not utf-8", "list", "null", "nan", "doubled key", "deep", "long"],
)
def test_what_is_not_a_manifest(data: bytes) -> None:
    with pytest.raises(BundleError):
        Manifest.from_bytes(data)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_manifest_is_plain_utf8(encoding: str) -> None:
    with pytest.raises(BundleError, match=r"^manifest\.json is not JSON"):
        Manifest.from_bytes(json.dumps(values_of()).encode(encoding))


def test_the_hash_of_tables_is_that_of_the_example() -> None:
    found = arrays_hash({"offsets": np.array([0, 1], np.float32), "bank_kind": np.array([2], np.uint8)})
    assert found in (BUNDLES.parents[2] / "runtime" / "FORMAT.md").read_text(encoding="utf-8")


def test_canonical_json_is_pinned() -> None:
    assert canonical_json({"b": [1, 2], "a": "ä"}) == b'{"a":"\\u00e4","b":[1,2]}'
    assert stream_id({"encoder": "", "prior": "", "tables": "", "geometry": ""}).hex() == "6f6453950b1a6bf5"
