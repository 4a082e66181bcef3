import pytest

from aeedge.benchmark.case import Case
from aeedge.benchmark.engines.base import WrongResultError
from aeedge.benchmark.engines.classic import ClassicEngine
from aeedge.benchmark.inputs import make_material
from aeedge.benchmark.pictures import draw_picture
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


def test_classic_codecs_must_repeat_themselves(conv, tmp_path):
    engine = prepared(ClassicEngine(case("jpeg", "compress"), 25.0), items(conv, tmp_path, "compress"))
    with pytest.raises(WrongResultError, match="jpeg produced different bytes"):
        engine.verify(0, engine.run(0)[:-1])


def test_a_classic_codec_that_decodes_to_something_else_is_refused(conv, tmp_path):
    engine = prepared(ClassicEngine(case("webp", "decompress"), 25.0), items(conv, tmp_path, "decompress"))
    with pytest.raises(WrongResultError, match=r"webp decoded to .* dB, expected 25\.0"):
        engine.verify(0, 255 - engine.run(0))


def test_a_codec_that_pillow_lacks(monkeypatch):
    monkeypatch.setattr("PIL.features.check", lambda _: False)
    with pytest.raises(ArgumentError, match="found avif6, which needs another build of Pillow"):
        ClassicEngine(case("avif", "compress"), 25.0).load()
