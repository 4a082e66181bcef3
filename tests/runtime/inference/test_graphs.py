"""Graphs that give something else than the manifest says, and tables that do not fit their prior."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tiny import BUNDLES, picture

from aeedge_runtime import BundleError, Codec, DeviceError
from aeedge_runtime.doctor import SMOKE_MODEL
from aeedge_runtime.inference import session as session_module
from aeedge_runtime.inference.backend import load_backend
from aeedge_runtime.inference.session import CPU, SessionOptions, open_session
from aeedge_runtime.prior.factorized import FactorizedPrior
from aeedge_runtime.prior.hyperprior import HyperPrior
from aeedge_runtime.prior.passes import SymbolRequest, SymbolWriter
from aeedge_runtime.stream.layout import Span

Change = Callable[[list[Any]], list[Any]]

OTHERS: dict[str, Change] = {
    "cut": lambda outputs: [outputs[0][:, :1], *outputs[1:]],
    "type": lambda outputs: [outputs[0].astype(np.int32), *outputs[1:]],
}


def broken(codec: Codec, role: str, change: Change) -> None:
    """Makes a graph of a codec give something else."""
    session = codec._networks.session(role)
    run = session.run
    session.run = lambda feeds: change(run(feeds))  # type: ignore[method-assign]


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS.keys())
@pytest.mark.parametrize("role", ["encoder", "hyper_encoder", "prior", "context", "decoder"])
def test_outputs_of_another_shape_or_type(role: str, change: Change) -> None:
    codec = Codec.load(BUNDLES / "tiny-hyper", threads=1)
    data = codec.compress(picture(20, 30, 3))
    broken(codec, role, change)
    act: Callable[[], object] = lambda: codec.compress(picture(20, 30, 3))  # noqa: E731
    if role == "decoder":
        act = lambda: codec.decompress(data)  # noqa: E731
    with pytest.raises(BundleError, match=rf"{role}\.onnx returned .*, expected"):
        act()


@pytest.mark.parametrize("role", ["prior", "context"])
def test_an_index_that_no_table_has(role: str) -> None:
    codec = Codec.load(BUNDLES / "tiny-hyper", threads=1)
    broken(codec, role, lambda outputs: [np.full_like(outputs[0], 64), *outputs[1:]])
    with pytest.raises(BundleError, match="table index 64, expected at most 63"):
        codec.compress(picture(20, 30, 3))


def test_an_output_that_the_encoder_lacks() -> None:
    codec = Codec.load(BUNDLES / "tiny-conv", threads=1)
    with pytest.raises(BundleError, match="not log_variance"):
        codec._networks.encode(picture(8, 8, 3)[None], "log_variance")


def test_tables_of_another_prior() -> None:
    conv, hyper = (Codec.load(BUNDLES / name, threads=1).bundle for name in ("tiny-conv", "tiny-hyper"))
    graphs: Any = [session_module] * 2
    with pytest.raises(BundleError, match="no table_index"):
        FactorizedPrior(hyper.tables)
    with pytest.raises(BundleError, match="no tables for a hyperprior"):
        HyperPrior(conv.tables, hyper.manifest.prior, graphs, None)
    prior = HyperPrior(hyper.tables, hyper.manifest.prior, graphs, None)
    latent = np.zeros((1, 8, 2, 2), np.float32)
    with pytest.raises(BundleError, match=r"hyper_encoder\.onnx is needed to compress"):
        SymbolWriter(hyper.tables).run(prior.walk(50, Span(0, 1, 0, 2), 2, latent))
    with pytest.raises(ValueError, match="needs values"):
        SymbolWriter(conv.tables).code(SymbolRequest(np.zeros(1, np.uint8), None, last=True))


def test_a_provider_that_refuses_a_graph_is_not_the_graph_to_blame(monkeypatch) -> None:
    runtime = load_backend()
    inner = runtime.InferenceSession

    def refuse(model: bytes, *rest: Any, providers: list[Any], **options: Any) -> Any:
        if providers != [CPU]:
            raise RuntimeError("no kernel")
        return inner(model, *rest, providers=providers, **options)

    monkeypatch.setattr(runtime, "InferenceSession", refuse)
    monkeypatch.setattr(runtime, "get_available_providers", lambda: [CPU, "FakeExecutionProvider"])
    options = SessionOptions("provider:Fake")
    with pytest.raises(DeviceError, match="FakeExecutionProvider refused x: no kernel; use device='cpu'"):
        open_session(SMOKE_MODEL, options, role="x")
    with pytest.raises(BundleError, match="does not accept this graph"):
        open_session(b"\x08\x0a", options, role="x")


def test_what_a_provider_misses_is_told_where_it_can_be() -> None:
    assert "see `aeedge doctor`" in session_module._what_is_missing("FakeExecutionProvider")


def opened_threads(codec: Codec) -> set[tuple[str, int | None]]:
    return set(codec._networks._pool._sessions.opened)


def test_few_patches_take_one_thread_and_many_take_all() -> None:
    codec = Codec.load(BUNDLES / "tiny-dense", threads=2)
    digits = np.zeros((2000, 8, 8, 1), np.uint8)
    few = codec.encode_batch(digits[:1])
    assert opened_threads(codec) == {("encoder", 1)}
    many = codec.encode_batch(digits)
    assert opened_threads(codec) == {("encoder", 1), ("encoder", 2)}
    np.testing.assert_allclose(many[:1], few, rtol=0, atol=1e-5)
    codec.decode_batch(few, (8, 8))
    assert ("decoder", 1) in opened_threads(codec)


def test_a_convolution_takes_all_threads() -> None:
    codec = Codec.load(BUNDLES / "tiny-conv", threads=2)
    codec.encode(picture(8, 8, 3))
    assert opened_threads(codec) == {("encoder", 2)}


@pytest.mark.filterwarnings("ignore:device auto uses the CPU")
def test_one_thread_after_auto_fell_back() -> None:
    codec = Codec.load(BUNDLES / "tiny-dense", device="auto", threads=2)
    codec.encode(np.zeros((8, 8, 1), np.uint8))
    assert ("encoder", 1) in opened_threads(codec)
