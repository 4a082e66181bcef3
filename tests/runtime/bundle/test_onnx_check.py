"""Graphs with weights that are not finite, weights elsewhere, and bytes that are no graph; built without onnx."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import BUNDLES, NAMES, copy_of, picture, rehash

from aeedge_runtime import Bundle, BundleError, Codec
from aeedge_runtime.bundle.onnx_check import check_weights
from aeedge_runtime.prior.hyperprior import HyperPrior

FLOAT, UINT8, INT64, FLOAT16, DOUBLE, BFLOAT16 = 1, 2, 7, 10, 11, 16


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def field(number: int, content: bytes | int) -> bytes:
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def tensor(kind: int, raw: bytes, number: int = 9) -> bytes:
    return field(1, 2) + field(2, kind) + field(8, b"weight") + field(number, raw)


def in_graph(content: bytes, number: int = 5) -> bytes:
    return field(1, 10) + field(7, field(number, content))


def packed(values: list[int]) -> bytes:
    return b"".join(varint(value) for value in values)


NAN, INFINITE, ONE = struct.pack("<f", np.nan), struct.pack("<f", np.inf), struct.pack("<f", 1)

BAD = {
    "raw float32": in_graph(tensor(FLOAT, ONE * 9 + NAN)),
    "minus infinity": in_graph(tensor(FLOAT, struct.pack("<f", -np.inf))),
    "float list": in_graph(tensor(FLOAT, ONE + INFINITE, 4)),
    "single float": in_graph(field(2, FLOAT) + varint(4 << 3 | 5) + NAN),
    "data before its type": in_graph(field(9, NAN) + field(2, FLOAT)),
    "double": in_graph(tensor(DOUBLE, struct.pack("<d", np.nan))),
    "double list": in_graph(tensor(DOUBLE, struct.pack("<dd", 1, -np.inf), 10)),
    "float16": in_graph(tensor(FLOAT16, b"\0\0\0\x7c")),
    "float16 as integers": in_graph(tensor(FLOAT16, packed([0, 1, 0x7E01, 5]), 5)),
    "bfloat16": in_graph(tensor(BFLOAT16, b"\x80\x7f")),
    "bfloat16 as one integer": in_graph(field(2, BFLOAT16) + field(5, 0xFF80)),
    "in a node": in_graph(field(5, field(5, tensor(FLOAT, NAN))), 1),
    "in a subgraph": in_graph(field(5, field(6, field(5, tensor(FLOAT, NAN)))), 1),
    "sparse": in_graph(field(1, tensor(FLOAT, NAN)), 15),
    "in a function": field(25, field(7, field(5, field(5, tensor(FLOAT, NAN))))),
    "after a good one": field(7, field(5, tensor(FLOAT, ONE)) + field(5, tensor(FLOAT, NAN))),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_weights_that_are_not_finite(data: bytes) -> None:
    with pytest.raises(BundleError, match=r"x\.onnx: tensor .* holds NaN or infinity; train and export again"):
        check_weights(data, "x.onnx")


GOOD = {
    "nothing": b"",
    "finite": in_graph(tensor(FLOAT, ONE + struct.pack("<f", -3.4e38))),
    "whole numbers": in_graph(tensor(INT64, b"\xff" * 8)),
    "bytes": in_graph(tensor(UINT8, NAN)),
    "float16": in_graph(tensor(FLOAT16, b"\xff\x7b")),
    "float16 as integers": in_graph(tensor(FLOAT16, packed([0x7BFF, 0, 0xFBFF]), 5)),
    "empty": in_graph(tensor(FLOAT, b"")),
    "no integers": in_graph(tensor(FLOAT16, b"", 5)),
    "fixed fields": varint(99 << 3 | 5) + NAN + varint(98 << 3 | 1) + NAN * 2 + in_graph(tensor(FLOAT, ONE)),
}


@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD.keys())
def test_weights_that_are_finite(data: bytes) -> None:
    check_weights(data, "x.onnx")


@pytest.mark.parametrize("part", [field(13, b"\x0a\x08location"), field(14, 1)], ids=["entries", "location"])
def test_weights_in_another_file(part: bytes) -> None:
    with pytest.raises(BundleError, match="stored in another file"):
        check_weights(in_graph(tensor(FLOAT, b"") + part), "x.onnx")


def nested(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = field(1, field(5, field(6, data)))
    return field(7, data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x3a\x05abc", "ends too early"),
        (b"\xff" * 20, "a number does not end"),
        (b"\x80", "a number does not end"),
        (b"\x3b", "wire type 3"),
        (in_graph(tensor(FLOAT, b"abc")), "expected whole values"),
        (nested(20), "nested more than 32 deep"),
    ],
)
def test_bytes_that_are_no_graph(data: bytes, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        check_weights(data, "x.onnx")


@given(st.binary(max_size=60))
@settings(max_examples=500, deadline=None)
def test_random_bytes_raise_nothing_else(data: bytes) -> None:
    for content in (data, field(7, data), in_graph(data), in_graph(tensor(FLOAT16, data, 5))):
        try:
            check_weights(content, "x.onnx")
        except BundleError:
            continue


@pytest.mark.parametrize("name", NAMES)
def test_one_bad_weight_in_a_bundle(name: str, tmp_path: Path) -> None:
    folder = copy_of(name, tmp_path / "b")
    for path in sorted(folder.glob("*.onnx")):
        data = path.read_bytes()
        check_weights(data, path.name)
        place = weight_of(data)
        for bad in (NAN, INFINITE):
            path.write_bytes(data[:place] + bad + data[place + 4 :])
            with pytest.raises(BundleError, match=f"{path.stem}.onnx: tensor .* NaN or infinity"):
                Bundle.load(rehash(folder))
        path.write_bytes(data)
    Bundle.load(rehash(folder))


def weight_of(data: bytes) -> int:
    """Where some float32 weight lies: a place where NaN is found to be one."""
    for place in range(len(data) - 4, 0, -1):
        try:
            check_weights(data[:place] + NAN + data[place + 4 :], "x")
        except BundleError as error:
            if "NaN" in str(error):
                return place
    raise AssertionError("no float weights")


@pytest.mark.parametrize("graph", ["prior", "context", "group_1", "hyper_encoder"])
def test_networks_that_are_not_finite_where_symbols_depend_on_them(graph: str, monkeypatch) -> None:
    codec = Codec.load(BUNDLES / "tiny-groups", threads=1)
    data = codec.compress(picture(40, 40, 3))
    prior = codec._networks.prior(compress=True)
    assert isinstance(prior, HyperPrior)
    inner = prior._hyper_encoder if graph == "hyper_encoder" else prior._graphs[graph]
    assert inner is not None

    class Broken:
        def run(self, feeds: dict) -> list:
            found = inner.run(feeds)
            place = min(1, len(found) - 1)  # the mean, or the only output
            found[place] = found[place].copy()
            found[place][0, 0, 0, 0] = np.nan
            return found

    if graph == "hyper_encoder":
        prior._hyper_encoder = Broken()
    else:
        prior._graphs[graph] = Broken()
    monkeypatch.setattr(codec._networks, "prior", lambda **_: prior)
    with pytest.raises(BundleError, match="returned NaN or infinity"):
        codec.compress(picture(40, 40, 3))
    if graph != "hyper_encoder":
        with pytest.raises(BundleError, match="returned NaN or infinity"):
            codec.decompress(data)
