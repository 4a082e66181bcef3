"""What makes a measurement be refused: a wrong result, a missing codec, a process that died."""

import numpy as np
import pytest

from aeedge.benchmark import measure, worker
from aeedge.benchmark.case import Case
from aeedge.benchmark.engines.aeedge import AeedgeEngine
from aeedge.benchmark.engines.base import WrongResultError
from aeedge.benchmark.engines.classic import ClassicEngine
from aeedge.benchmark.engines.factory import open_engine
from aeedge.benchmark.inputs import make_material
from aeedge.benchmark.measure import ProcessError
from aeedge.benchmark.pictures import draw_picture
from aeedge.benchmark.protocol import QUICK, Request
from aeedge_runtime import Codec
from aeedge_runtime.errors import ArgumentError


def case(engine, operation):
    return Case(engine, operation, "cpu", 1, 1, 64, 48, 50, "png")


def items(conv, tmp_path, operation):
    made = make_material(Codec.load(conv), case("aeedge", operation), [draw_picture(3)], tmp_path / "material")
    return made.items()


def prepared(engine, material):
    engine.load()
    engine.prepare(material)
    return engine


def test_streams_of_other_symbols_are_refused(conv, tmp_path):
    engine = prepared(AeedgeEngine(case("aeedge", "compress"), str(conv)), items(conv, tmp_path, "compress"))
    assert engine.verify(0, engine.run(0))["bytes"] > 0
    codec = Codec.load(conv)
    with pytest.raises(WrongResultError, match=r"\d+ of \d+ symbols differ"):
        engine.verify(0, codec.compress(draw_picture(3)[100:148, 100:164]))
    with pytest.raises(WrongResultError, match="symbols, expected"):
        engine.verify(0, codec.compress(draw_picture(3)[:24, :32]))


@pytest.mark.parametrize("change", [0.1, np.nan])
def test_other_latents_are_refused(conv, tmp_path, change):
    engine = prepared(AeedgeEngine(case("aeedge", "encode"), str(conv)), items(conv, tmp_path, "encode"))
    latents = engine.run(0)
    assert engine.verify(0, latents) == {}
    with pytest.raises(WrongResultError, match="the latents differ by"):
        engine.verify(0, latents + change * np.abs(latents).max())


def test_classic_codecs_must_repeat_themselves(conv, tmp_path):
    engine = prepared(ClassicEngine(case("jpeg", "compress"), 25.0), items(conv, tmp_path, "compress"))
    with pytest.raises(WrongResultError, match="jpeg made other bytes of the same image"):
        engine.verify(0, engine.run(0)[:-1])


def test_a_classic_codec_that_decodes_to_something_else_is_refused(conv, tmp_path):
    engine = prepared(ClassicEngine(case("webp", "decompress"), 25.0), items(conv, tmp_path, "decompress"))
    with pytest.raises(WrongResultError, match=r"webp decoded to .* dB, expected 25\.0"):
        engine.verify(0, 255 - engine.run(0))


def test_a_codec_that_pillow_lacks(monkeypatch):
    monkeypatch.setattr("PIL.features.check", lambda _: False)
    with pytest.raises(ArgumentError, match="found avif6, which needs another build of Pillow"):
        ClassicEngine(case("avif", "compress"), 25.0).load()


def test_a_classic_codec_needs_a_psnr_to_match():
    with pytest.raises(ArgumentError, match="found no PSNR to match"):
        open_engine(case("jpeg", "encode"), "photo", None, None)


def test_a_process_that_dies_without_an_answer(conv, tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "_START", "import sys; sys.exit('out of luck')")
    request = Request(case("aeedge", "encode"), str(conv), None, str(tmp_path), QUICK)
    with pytest.raises(ProcessError, match="ended with code 1; out of luck"):
        measure._run(request, tmp_path)


def test_two_results_of_one_input_are_refused():
    worker._check(7, 7)
    with pytest.raises(WrongResultError, match="gave different results"):
        worker._check(7, 8)
