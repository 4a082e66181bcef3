"""The code that runs captured graphs, on buffers in the CPU's memory; on a GPU only the memory differs."""

import threading
from typing import Any

import numpy as np
import pytest
from tiny import BUNDLES, picture

from aeedge_runtime import Bundle, Codec
from aeedge_runtime.doctor import SMOKE_MODEL
from aeedge_runtime.inference import session as session_module
from aeedge_runtime.inference.backend import load_backend
from aeedge_runtime.inference.cuda_graphs import CAPTURED_SHAPES, CapturedRunner
from aeedge_runtime.inference.session import CPU


def bound(model: bytes = SMOKE_MODEL) -> CapturedRunner:
    runtime = load_backend()
    return CapturedRunner(runtime, runtime.InferenceSession(model, providers=[CPU]), "cpu", 0)


def values(rows: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(rows, 4)).astype(np.float32)


def test_results_are_those_of_a_plain_run_whatever_the_order_of_shapes() -> None:
    runner = bound()
    for rows in (3, 5, 3, 3, 5, 1, 3):
        given = values(rows, seed=rows)
        np.testing.assert_allclose(runner.run({"values": given})[0], given @ given.T, rtol=1e-6)


def test_a_result_survives_the_next_run() -> None:
    runner = bound()
    runner.run({"values": values(3)})
    first = runner.run({"values": values(3, seed=1)})[0]
    kept = first.copy()
    runner.run({"values": values(3, seed=2)})
    np.testing.assert_array_equal(first, kept)


def test_buffers_of_a_shape_never_move_and_those_of_many_shapes_are_dropped() -> None:
    runner = bound()
    runner.run({"values": values(3)})
    (before,) = runner._kept.values()
    addresses = [value.data_ptr() for value in (*before.inputs.values(), *(before.outputs or ()))]
    runner.run({"values": values(3, seed=1)})
    (after,) = runner._kept.values()
    assert [value.data_ptr() for value in (*after.inputs.values(), *(after.outputs or ()))] == addresses
    for rows in range(1, 30):
        runner.run({"values": values(rows)})
    assert len(runner._kept) == CAPTURED_SHAPES + 1


def test_captured_shapes_keep_their_graph_and_further_ones_have_none() -> None:
    runner = bound()
    for rows in range(1, CAPTURED_SHAPES + 5):
        runner.run({"values": values(rows)})
        runner.run({"values": values(rows)})
    ids = [buffers.graph_id for buffers in runner._kept.values()]
    assert ids == [*range(1, CAPTURED_SHAPES + 1), -1]


def test_views_and_integers_are_taken() -> None:
    given = np.asfortranarray(values(6))[::2]
    np.testing.assert_allclose(bound().run({"values": given})[0], given @ given.T, rtol=1e-6)
    bundle = Bundle.load(BUNDLES / "tiny-conv")
    image = picture(16, 16, 3)[None]
    runner = bound(bundle.read("encoder.onnx"))
    latent = Codec.load(bundle, threads=1).encode_batch(image)
    np.testing.assert_allclose(runner.run({"image": image})[0], latent, atol=1e-6)


def test_threads_take_turns() -> None:
    runner = bound()
    wrong = []

    def work(seed: int) -> None:
        for turn in range(30):
            given = values(2 + (seed + turn) % 3, seed=seed)
            if not np.allclose(runner.run({"values": given})[0], given @ given.T, rtol=1e-5):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("name", ["tiny-conv", "tiny-hyper", "tiny-dense"])
def test_a_codec_on_bound_buffers_gives_the_same_bytes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Bundle.load(BUNDLES / name)
    image = picture(40, 27, bundle.manifest.image.channels)
    plain = Codec.load(bundle, threads=1)
    stream = plain.compress(image)
    monkeypatch.setattr(session_module, "_runner", lambda runtime, inner, _: CapturedRunner(runtime, inner, "cpu", 0))
    codec = Codec.load(bundle, threads=1)
    assert codec.compress(image) == stream
    np.testing.assert_array_equal(codec.decompress(stream), plain.decompress(stream))
