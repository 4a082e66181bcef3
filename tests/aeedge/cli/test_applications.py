"""The four commands of the applications, end to end on the tiny bundles."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def vae(conv):
    return conv.parent / "tiny-vae"


@pytest.fixture
def gray(tmp_path):
    """Writes a small gray ramp in a class folder."""

    def write(name, noise=0, size=(16, 24)):
        place = tmp_path / "in" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        rows, columns = np.mgrid[: size[0], : size[1]]
        values = 60 + 4 * rows + 3 * columns + noise * np.random.default_rng(0).normal(size=size)
        Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).save(place)
        return place

    return write


@pytest.fixture
def calibrated(dense, tmp_path):
    """The tiny dense bundle with a threshold of anomaly scores."""
    place = tmp_path / "calibrated"
    shutil.copytree(dense, place)
    manifest = json.loads((place / "manifest.json").read_text())
    manifest["anomaly"] = {"score": "mse", "threshold": 0.001, "false_positive_rate": 0.05, "images": 40}
    (place / "manifest.json").write_text(json.dumps(manifest))
    return place


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_reconstruct_writes_what_the_model_makes(aeedge, gray, dense, tmp_path):
    noisy = gray("noisy.png", noise=20)
    done = aeedge("reconstruct", dense, noisy, "-o", tmp_path / "out.png")
    assert done.code == 0, done.stderr
    assert "dB from the input" in done.text
    clean, before, after = (
        np.asarray(Image.open(place), float) for place in (gray("clean.png"), noisy, tmp_path / "out.png")
    )
    assert np.square(after - clean).mean() < 0.5 * np.square(before - clean).mean()


def test_reconstruct_side_by_side_in_a_folder(aeedge, gray, dense, tmp_path):
    gray("a/x.png")
    gray("y.png")
    words = ("reconstruct", dense, tmp_path / "in", "-o", tmp_path / "out", "--side-by-side")
    done = aeedge(*words, "--json")
    assert done.code == 0
    assert [result["width"] for result in done.json["results"]] == [24, 24]
    with Image.open(tmp_path / "out" / "a" / "x.png") as picture:
        assert picture.size == (24 + 4 + 24, 16)
    assert aeedge(*words).code == 1  # they exist
    assert aeedge(*words, "--skip-existing").code == 0
    assert aeedge(*words, "--force").code == 0


def test_reconstruct_goes_on_past_a_bad_file(aeedge, gray, dense, tmp_path):
    gray("a.png")
    (tmp_path / "in" / "b.png").write_bytes(b"no image")
    done = aeedge("reconstruct", dense, tmp_path / "in", "-o", tmp_path / "out")
    assert done.code == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]
    assert "b.png: not an image" in done.errors[0]


def test_reconstruct_never_writes_over_its_input(aeedge, gray, dense):
    image = gray("a.png")
    before = image.read_bytes()
    assert aeedge("reconstruct", dense, image, "-o", image, "--force").code == 2
    assert image.read_bytes() == before


def test_score_prints_csv_with_classes(aeedge, gray, calibrated, tmp_path):
    gray("good/a.png")
    gray("odd/b.png", noise=60)
    done = aeedge("score", calibrated, tmp_path / "in", "--normal", "good")
    assert done.code == 0, done.stderr
    rows = rows_of(done.text)
    assert [(row["name"], row["class"], row["anomalous"]) for row in rows] == [
        ("good/a.png", "good", "no"),
        ("odd/b.png", "odd", "yes"),
    ]
    assert "1 of 2 images above the threshold of 0.001, calibrated for a false-positive rate of 0.05" in done.stderr
    assert "AUROC 1.0000" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere file names are Unicode")
def test_a_class_whose_name_is_not_utf8(aeedge, gray, calibrated, tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        gray(f"{os.fsdecode(bytes([107, 255]))}/{name}", noise=5)
    done = aeedge("score", calibrated, tmp_path / "in", "-o", tmp_path / "scores.csv")
    assert done.code == 0, done.stderr
    assert {row["class"] for row in rows_of((tmp_path / "scores.csv").read_text())} == {"k\\xff"}
    pytest.importorskip("matplotlib")
    done = aeedge("encode", calibrated, tmp_path / "in", "-o", tmp_path / "f.npz", "--picture", tmp_path / "f.png")
    assert done.code == 0, done.stderr


def test_score_without_a_threshold_says_so(aeedge, gray, dense, tmp_path):
    image = gray("a.png")
    done = aeedge("score", dense, image)
    assert (done.code, rows_of(done.text)[0]["anomalous"]) == (0, "")
    assert "no threshold" in done.stderr
    found = aeedge("score", dense, image, "--threshold", 0).text
    assert rows_of(found)[0]["anomalous"] == "yes"


def test_score_to_a_file_with_heat_maps(aeedge, gray, calibrated, tmp_path):
    gray("good/a.png")
    words = ("score", calibrated, "--data", tmp_path / "in", "-o", tmp_path / "s.csv", "--heat-maps", tmp_path / "m")
    assert aeedge(*words).code == 0
    assert rows_of((tmp_path / "s.csv").read_text())[0]["name"] == "good/a.png"
    with Image.open(tmp_path / "m" / "good" / "a.png.png") as heat:
        assert (heat.size, heat.mode) == ((24, 16), "RGB")
    assert aeedge(*words).code == 1
    assert aeedge(*words, "--force").code == 0


def test_heat_maps_of_one_name_are_refused_before_the_work(aeedge, gray, calibrated, tmp_path):
    images = gray("a/x.png"), gray("b/x.png")
    done = aeedge("score", calibrated, *images, "--heat-maps", tmp_path / "m", "--force")
    assert (done.code, done.text) == (2, "")
    assert "would both be written to" in done.errors[0]
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "x.png.png").write_bytes(b"kept")
    done = aeedge("score", calibrated, images[0], "--heat-maps", tmp_path / "m")
    assert (done.code, done.text) == (1, "")
    assert aeedge("score", calibrated, "-", "--heat-maps", tmp_path / "m", stdin=images[0].read_bytes()).code == 0
    assert sorted(place.name for place in (tmp_path / "m").iterdir()) == ["stdin.png", "x.png.png"]


def test_score_of_files_that_are_no_images(aeedge, calibrated, tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"no image")
    for names, code in ((["a.png"], 3), (["a.png", "b.png"], 1)):
        done = aeedge("score", calibrated, *(tmp_path / name for name in names), "-o", tmp_path / "s.csv")
        assert done.code == code
        assert [line.split(": ")[2][:12] for line in done.errors] == ["not an image"] * len(names)
        assert not (tmp_path / "s.csv").exists()


def test_score_of_a_data_set_as_json(aeedge, calibrated):
    done = aeedge("score", calibrated, "--data", "synthetic", "--count", 5, "--json")
    assert done.code == 0
    assert done.json["summary"]["images"] == 5
    assert {"name", "label", "score", "anomalous"} == done.json["results"][0].keys()


def test_a_count_of_files_is_spread_over_all(aeedge, gray, dense, tmp_path):
    for name in ("bird/a.png", "bird/b.png", "bird/c.png", "cat/a.png", "cat/b.png"):
        gray(name)
    done = aeedge("score", dense, "--data", tmp_path / "in", "--count", 3, "--normal", "bird")
    assert done.code == 0, done.stderr
    assert [row["name"] for row in rows_of(done.text)] == ["bird/a.png", "bird/c.png", "cat/b.png"]


def test_score_names_bad_files_and_scores_the_others(aeedge, gray, calibrated, tmp_path):
    gray("a.png")
    (tmp_path / "in" / "b.png").write_bytes(b"no image")
    done = aeedge("score", calibrated, tmp_path / "in")
    assert (done.code, len(rows_of(done.text)), len(done.errors)) == (1, 1, 1)
    assert aeedge("score", calibrated, tmp_path / "in" / "b.png").code == 3


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
        assert (done.code, "exists; --force replaces it, or name another" in done.errors[0]) == (1, True)


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
    words = ("encode", dense, "--data", "synthetic", "--count", 30, "-o", tmp_path / "f.npz")
    assert aeedge(*words, "--picture", tmp_path / "p.png").code == 0
    with Image.open(tmp_path / "p.png") as picture:
        assert min(picture.size) > 300


def test_a_picture_of_too_little_fails_before_anything_is_written(aeedge, gray, dense, tmp_path):
    pytest.importorskip("matplotlib")
    outputs = ("-o", tmp_path / "f.npz", "--picture", tmp_path / "p.png")
    for words in (("--data", "synthetic", "--count", 1), (gray("a.png"),)):
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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("score", "BUNDLE"), "found no images, expected images"),
        (("score", "BUNDLE", "x.png", "--data", "mnist"), "found images and --data"),
        (("score", "BUNDLE", "--data", "mnits"), "expected a folder or one of mnist"),
        (("score", "BUNDLE", "--data", "synthetic", "--count", 3, "--normal", "x"), "--normal x: found the classes"),
        (("score", "BUNDLE", "--data", "synthetic", "--json", "-o", "x"), "found --json and -o"),
        (("score", "BUNDLE", "--data", "synthetic", "-o", "-"), "found -o -"),
        (("score", "BUNDLE", "--data", "synthetic", "--threshold", "nan"), "expected a finite number"),
        (("encode", "BUNDLE", "-o", "x.npz"), "found no images"),
        (("encode", "BUNDLE", "--data", "synthetic", "-o", "f.txt"), "-o f.txt: found .txt, expected .npz"),
        (
            ("encode", "BUNDLE", "--data", "synthetic", "-o", "f.npz", "--picture", "f.svg"),
            "--picture f.svg: found .svg, expected .png",
        ),
        (("reconstruct", "BUNDLE", "x.png", "-o", "-"), "found -o -"),
        (("sample", "BUNDLE", "-o", "x.jpg"), "found .jpg, expected .png"),
        (("sample", "BUNDLE", "-o", "x.png", "--interpolate", "a", "b", "--posterior", "c"), "expected one of them"),
    ],
)
def test_wrong_words_get_one_line(aeedge, dense, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    done = aeedge(*(dense if word == "BUNDLE" else word for word in words))
    assert done.code == 2
    assert len(done.errors) == 1
    assert message in done.errors[0]
    assert not list(tmp_path.iterdir())


def test_half_a_bundle_is_refused_before_any_work(aeedge, gray, dense, tmp_path):
    half = tmp_path / "half"
    shutil.copytree(dense, half)
    manifest = json.loads((half / "manifest.json").read_text())
    manifest["halves"] = ["encoder"]
    (half / "manifest.json").write_text(json.dumps(manifest))
    image = gray("a.png")
    for words in (("score", half, image), ("reconstruct", half, image, "-o", tmp_path / "out.png")):
        done = aeedge(*words)
        assert (done.code, "holds no decoder" in done.errors[0]) == (4, True)
    assert aeedge("encode", half, image, "-o", tmp_path / "f.npz").code == 0


@pytest.mark.parametrize("command", ["reconstruct", "score", "sample", "encode"])
def test_applications_never_load_torch(command):
    modules = ("anomaly", "features", "generation", "images", "reconstruction")
    imports = ", ".join(f"aeedge.applications.{name}" for name in modules)
    text = f"import {imports}, aeedge.training.data.datasets, aeedge.cli.commands.{command}, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert {"torch", "onnx", "torchvision", "lightning", "matplotlib"}.isdisjoint(done.stdout.split())


def test_notes_of_the_input_are_told(aeedge, vae, dense, tmp_path):
    image = tmp_path / "colour.png"
    Image.new("RGB", (8, 8), "red").save(image)
    done = aeedge("reconstruct", dense, image, "-o", tmp_path / "out.png", "--json")
    assert done.json["results"][0]["warnings"] == ["colour was reduced to gray: this model takes gray images"]
    done = aeedge("sample", vae, "--posterior", image, "-n", 2, "-o", tmp_path / "grid.png")
    assert (done.code, done.stderr.count("colour was reduced to gray")) == (0, 1)


def test_options_that_do_not_apply_are_refused(aeedge, vae, gray, tmp_path):
    image = gray("a.png", size=(8, 8))
    for words, message in (
        (
            ("score", vae, image, "--split", "train"),
            "--split: found files, expected a data set named by --data with it",
        ),
        (("score", vae, "--data", image.parent, "--data-dir", "x"), "--data-dir: found files"),
        (
            ("sample", vae, "--interpolate", image, image, "--seed", 1, "-o", tmp_path / "g.png"),
            "--interpolate and --seed",
        ),
        (("bench", vae, "--fail-over", "5%"), "found --fail-over without --compare"),
    ):
        done = aeedge(*words)
        assert (done.code, len(done.errors)) == (2, 1)
        assert message in done.errors[0]


def test_score_names_what_could_not_be_read_in_json_too(aeedge, gray, calibrated, tmp_path):
    done = aeedge("score", calibrated, gray("a.png"), tmp_path / "missing.png", "--json")
    (failure,) = done.json["failures"]
    assert (done.code, failure["input"], failure["exit_code"]) == (1, str(tmp_path / "missing.png"), 3)
    assert "cannot be read" in failure["error"]


def test_encode_of_nothing_that_can_be_read_prints_json_too(aeedge, dense, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    done = aeedge("encode", dense, tmp_path / "a.png", "-o", tmp_path / "f.npz", "--json")
    assert (done.code, done.json["output"]) == (3, None)
    (failure,) = done.json["failures"]
    assert (failure["input"], failure["exit_code"]) == (str(tmp_path / "a.png"), 3)
    assert failure["error"].startswith("image bytes: not an image")
    assert not (tmp_path / "f.npz").exists()
