"""Streams to images: files, folders, packs and names that do not fit."""

import json
from pathlib import Path

import pytest
from PIL import Image

from aeedge_runtime import stream_info


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_stream_of_another_model_is_error_4_and_names_both(aeedge, draw, conv, dense, tmp_path):
    aeedge("compress", draw(tmp_path / "a.png"), "-m", conv)
    done = aeedge("decompress", tmp_path / "a.png.aee", "-m", dense, "-o", tmp_path / "b.png")
    assert done.code == 4
    for bundle in (conv, dense):
        assert json.loads((bundle / "manifest.json").read_text())["stream_id"] in done.errors[0]


def test_several_images_never_go_to_the_name_of_one(aeedge, draw, conv, tmp_path):
    for name in "ab":
        draw(tmp_path / "in" / f"{name}.png")
    pack = tmp_path / "all.aee"
    aeedge("compress", tmp_path / "in", "-m", conv, "--pack", pack)
    done = aeedge("decompress", pack, "-m", conv, "-o", tmp_path / "one.png")
    assert (done.code, len(done.errors)) == (2, 1)
    assert "one.png: has the suffix of an image file, expected a folder" in done.errors[0]
    assert not (tmp_path / "one.png").exists()
    (tmp_path / "one.png").mkdir()
    assert aeedge("decompress", pack, "-m", conv, "-o", tmp_path / "one.png").code == 0
    assert tree(tmp_path / "one.png") == ["a.png", "b.png"]


def test_pack_and_unpack_keep_names_and_structure(aeedge, draw, conv, tmp_path):
    for name in ("a.png", "a.jpg", "deep/b.png"):
        draw(tmp_path / "in" / name)
    done = aeedge("compress", tmp_path / "in", "-m", conv, "--pack", tmp_path / "all.aee")
    assert done.code == 0
    assert done.text.startswith("3 images -> ")
    assert stream_info(tmp_path / "all.aee").count == 3
    assert aeedge("decompress", tmp_path / "all.aee", "-m", conv).code == 0
    assert tree(tmp_path / "all") == ["a.jpg.png", "a.png", "deep/b.png"]
    assert aeedge("decompress", tmp_path / "all.aee", "-m", conv, "-o", tmp_path / "new").code == 0
    assert tree(tmp_path / "new") == tree(tmp_path / "all")
    assert aeedge("decompress", tmp_path / "all.aee", "-m", conv).code == 1
    assert "skipped" in aeedge("decompress", tmp_path / "all.aee", "-m", conv, "--skip-existing").stderr
    assert aeedge("decompress", tmp_path / "all.aee", "-m", conv, "-o", "-").code == 2


def test_other_image_formats_by_suffix(aeedge, draw, conv, tmp_path):
    aeedge("compress", draw(tmp_path / "a.png"), "-m", conv)
    for suffix, kind in ((".jpg", "JPEG"), (".webp", "WEBP")):
        assert aeedge("decompress", tmp_path / "a.png.aee", "-m", conv, "-o", tmp_path / f"b{suffix}").code == 0
        with Image.open(tmp_path / f"b{suffix}") as image:
            assert image.format == kind
    assert aeedge("decompress", tmp_path / "a.png.aee", "-m", conv, "-o", tmp_path / "b.xyz").code == 2


@pytest.mark.parametrize("more", [["--force"], ["--skip-existing"], ["--jobs", "2"]])
def test_two_streams_are_not_restored_to_one_place(aeedge, draw, conv, tmp_path, more):
    draw(tmp_path / "in" / "1.png")
    aeedge("compress", tmp_path / "in", "-m", conv, "--pack", tmp_path / "st" / "p.aee")
    aeedge("compress", tmp_path / "in", "-m", conv, "-o", tmp_path / "st" / "p")
    assert tree(tmp_path / "st") == ["p.aee", "p/1.png.aee"]
    done = aeedge("decompress", tmp_path / "st", "-m", conv, "-o", tmp_path / "out", *more)
    assert (done.code, len(done.errors)) == (1, 1)
    assert "give them different output folders" in done.errors[0]
    assert tree(tmp_path / "out") == ["p/1.png"]


def test_without_a_bundle_each_stream_finds_its_own(aeedge, draw, conv, tmp_path, monkeypatch):
    draw(tmp_path / "in" / "a.png")
    draw(tmp_path / "in" / "b.png")
    aeedge("compress", tmp_path / "in" / "a.png", "-m", conv, "-o", tmp_path / "streams" / "a.aee")
    aeedge("compress", tmp_path / "in" / "b.png", "-o", tmp_path / "streams" / "b.aee")
    missing = aeedge("decompress", tmp_path / "streams" / "a.aee", "-o", tmp_path / "a.png")
    stream_id = stream_info(tmp_path / "streams" / "a.aee").stream_id
    assert (missing.code, stream_id in missing.errors[0]) == (4, True)
    monkeypatch.setenv("AEEDGE_BUNDLES", str(conv))
    assert aeedge("decompress", tmp_path / "streams", "-o", tmp_path / "out").code == 0
    assert tree(tmp_path / "out") == ["a.png", "b.png"]


def test_a_preview_is_an_eighth_as_wide_and_high(aeedge, draw, conv, tmp_path):
    draw(tmp_path / "a.png", 50, 33)
    aeedge("compress", tmp_path / "a.png", "-m", conv)
    assert aeedge("decompress", tmp_path / "a.png.aee", "--preview", "-m", conv, "-o", tmp_path / "b.png").code == 0
    with Image.open(tmp_path / "b.png") as preview:
        assert preview.size == (7, 5)


def test_a_packed_stream_has_no_preview(aeedge, draw, conv, tmp_path):
    aeedge("compress", draw(tmp_path / "a.png"), draw(tmp_path / "b.png"), "--pack", tmp_path / "p.aee", "-m", conv)
    done = aeedge("decompress", tmp_path / "p.aee", "--preview", "-m", conv, "-o", tmp_path / "out")
    assert (done.code, len(done.errors), (tmp_path / "out").exists()) == (2, 1, False)


def test_a_bundle_without_a_lite_decoder_says_so(aeedge, draw, conv, tmp_path):
    aeedge("compress", draw(tmp_path / "a.png"), "-m", conv)
    done = aeedge("decompress", tmp_path / "a.png.aee", "--decoder", "lite", "-m", conv)
    assert (done.code, "lite" in done.errors[0]) == (2, True)
