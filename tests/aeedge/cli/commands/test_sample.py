import re

import pytest
from PIL import Image


def test_sample_is_a_function_of_the_seed(aeedge, vae, tmp_path):
    for name, seed in (("a.png", 1), ("b.png", 1), ("c.png", 2)):
        assert aeedge("sample", vae, "-n", 9, "-o", tmp_path / name, "--seed", seed).code == 0
    first, second, third = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert first == second != third
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (3 * 8 + 2 * 2,) * 2


def test_an_existing_output_names_only_options_that_are_there(aeedge, gray, vae, tmp_path):
    (tmp_path / "grid.png").touch()
    (tmp_path / "f.npz").touch()
    for words in (
        ("sample", vae, "-o", tmp_path / "grid.png"),
        ("encode", vae, gray("a.png"), "-o", tmp_path / "f.npz"),
    ):
        done = aeedge(*words)
        assert (done.code, re.findall(r"--[a-z-]+", done.errors[0])) == (1, ["--force"])


def test_sample_between_and_around_images(aeedge, gray, vae, tmp_path):
    first, last = gray("a.png", size=(8, 8)), gray("b.png", noise=9, size=(8, 8))
    done = aeedge("sample", vae, "--interpolate", first, last, "-n", 6, "-o", tmp_path / "way.png")
    assert done.code == 0, done.stderr
    with Image.open(tmp_path / "way.png") as picture:
        assert picture.size == (8 * 10 - 2, 8)  # both inputs and six between
    done = aeedge("sample", vae, "--posterior", first, "-o", tmp_path / "same.png", "--json")
    assert (done.json["kind"], done.json["images"]) == ("posterior", 15)


@pytest.mark.parametrize("family", ["tiny-dense", "tiny-conv", "tiny-hyper"])
def test_only_a_vae_samples(aeedge, conv, family, tmp_path):
    done = aeedge("sample", conv.parent / family, "-o", tmp_path / "grid.png")
    assert done.code == 2
    assert len(done.errors) == 1
    assert "whose latents follow no known distribution to draw from; use a vae" in done.errors[0]
    assert not list(tmp_path.iterdir())
