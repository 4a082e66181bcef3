import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("score", "BUNDLE"), "no images; name files or folders"),
        (("score", "BUNDLE", "x.png", "--data", "mnist"), "images cannot be combined with --data"),
        (("score", "BUNDLE", "--data", "mnits"), "expected a folder or one of mnist"),
        (("score", "BUNDLE", "--data", "synthetic", "--limit", 3, "--normal", "x"), "--normal x: found the classes"),
        (("score", "BUNDLE", "--data", "synthetic", "--json", "-o", "x"), "--json cannot be combined with -o"),
        (("score", "BUNDLE", "--data", "synthetic", "-o", "-"), "-o needs the name of a file"),
        (("score", "BUNDLE", "--data", "synthetic", "--threshold", "nan"), "expected a finite number"),
        (("encode", "BUNDLE", "-o", "x.npz"), "no images"),
        (("encode", "BUNDLE", "--data", "synthetic", "-o", "f.txt"), "-o f.txt: found .txt, expected .npz"),
        (
            ("encode", "BUNDLE", "--data", "synthetic", "-o", "f.npz", "--picture", "f.svg"),
            "--picture f.svg: found .svg, expected .png",
        ),
        (("reconstruct", "BUNDLE", "x.png", "-o", "-"), "-o needs the name of a file"),
        (("sample", "BUNDLE", "-o", "x.jpg"), "found .jpg, expected .png"),
        (
            ("sample", "BUNDLE", "-o", "x.png", "--interpolate", "a", "b", "--posterior", "c"),
            "--interpolate cannot be",
        ),
    ],
)
def test_wrong_words_get_one_line(aeedge, dense, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    done = aeedge(*(dense if word == "BUNDLE" else word for word in words))
    assert done.code == 2
    assert len(done.errors) == 1
    assert message in done.errors[0]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["reconstruct", "score", "sample", "encode"])
def test_applications_never_load_torch(command):
    modules = ("anomaly", "features", "generation", "images", "reconstruction")
    imports = ", ".join(f"aeedge.applications.{name}" for name in modules)
    text = f"import {imports}, aeedge.training.data.datasets, aeedge.cli.commands.{command}, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert {"torch", "onnx", "torchvision", "lightning", "matplotlib"}.isdisjoint(done.stdout.split())


def test_options_that_do_not_apply_are_refused(aeedge, vae, gray, tmp_path):
    image = gray("a.png", size=(8, 8))
    for words, message in (
        (
            ("score", vae, image, "--split", "train"),
            "--split needs a data set",
        ),
        (("score", vae, "--data", image.parent, "--data-dir", "x"), "--data-dir needs a data set"),
        (
            ("sample", vae, "--interpolate", image, image, "--seed", 1, "-o", tmp_path / "g.png"),
            "--interpolate cannot be combined with --seed",
        ),
        (("bench", vae, "--fail-over", "5%"), "--fail-over needs --compare"),
    ):
        done = aeedge(*words)
        assert (done.code, len(done.errors)) == (2, 1)
        assert message in done.errors[0]
