import numpy as np
import pytest
from PIL import Image


def test_encode_of_files_that_are_no_images(aeedge, dense, tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"no image")
    for names, code in ((["a.png"], 3), (["a.png", "b.png"], 1)):
        done = aeedge("encode", dense, *(tmp_path / name for name in names), "-o", tmp_path / "f.npz")
        assert done.code == code
        assert len(done.errors) == len(names)
        assert "a.png: not an image" in done.errors[0]
        assert not (tmp_path / "f.npz").exists()


def test_encode_writes_arrays(aeedge, gray, dense, tmp_path):
    gray("good/a.png")
    gray("odd/b.png")
    done = aeedge("encode", dense, tmp_path / "in", "-o", tmp_path / "f.npz")
    assert done.code == 0, done.stderr
    with np.load(tmp_path / "f.npz", allow_pickle=False) as arrays:
        assert arrays["latents"].shape == (2, 16, 2, 3)
        assert arrays["labels"].tolist() == ["good", "odd"]
    assert aeedge("encode", dense, tmp_path / "in", "-o", tmp_path / "f.npz").code == 1
    gray("odd/c.png", size=(8, 8))
    refused = aeedge("encode", dense, tmp_path / "in", "-o", tmp_path / "g.npz")
    assert (refused.code, "use --pool mean" in refused.errors[0]) == (2, True)
    assert aeedge("encode", dense, tmp_path / "in", "-o", tmp_path / "g.npz", "--pool", "mean").code == 0


def test_encode_draws_a_picture(aeedge, dense, tmp_path):
    pytest.importorskip("matplotlib")
    words = ("encode", dense, "--data", "synthetic", "--limit", 30, "-o", tmp_path / "f.npz")
    assert aeedge(*words, "--picture", tmp_path / "p.png").code == 0
    with Image.open(tmp_path / "p.png") as picture:
        assert min(picture.size) > 300


def test_a_picture_of_too_little_fails_before_anything_is_written(aeedge, gray, dense, tmp_path):
    pytest.importorskip("matplotlib")
    outputs = ("-o", tmp_path / "f.npz", "--picture", tmp_path / "p.png")
    for words in (("--data", "synthetic", "--limit", 1), (gray("a.png"),)):
        done = aeedge("encode", dense, *words, *outputs)
        assert (done.code, "found 1 image, expected at least 2" in done.errors[0]) == (2, True)
    (tmp_path / "in" / "b.png").write_bytes(b"no image")
    done = aeedge("encode", dense, tmp_path / "in", *outputs)
    assert (done.code, "expected at least 2 of each" in done.errors[-1]) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_picture_without_matplotlib_fails_before_any_work(aeedge, dense, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    words = ("encode", dense, "--data", "synthetic", "-o", tmp_path / "f.npz", "--picture", tmp_path / "p.png")
    done = aeedge(*words)
    assert (done.code, 'pip install "aeedge[report]"' in done.errors[0]) == (1, True)
    assert not list(tmp_path.iterdir())


def test_encode_of_nothing_that_can_be_read_prints_json_too(aeedge, dense, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    done = aeedge("encode", dense, tmp_path / "a.png", "-o", tmp_path / "f.npz", "--json")
    assert (done.code, done.json["output"]) == (3, None)
    (failure,) = done.json["failures"]
    assert (failure["input"], failure["exit_code"]) == (str(tmp_path / "a.png"), 3)
    assert failure["error"].startswith("image bytes: not an image")
    assert not (tmp_path / "f.npz").exists()
