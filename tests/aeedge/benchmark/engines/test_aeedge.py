import numpy as np
import pytest

from aeedge.benchmark.case import Case
from aeedge.benchmark.engines.aeedge import AeedgeEngine
from aeedge.benchmark.engines.base import WrongResultError
from aeedge.benchmark.inputs import make_material
from aeedge.benchmark.pictures import draw_picture
from aeedge_runtime import Codec


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
