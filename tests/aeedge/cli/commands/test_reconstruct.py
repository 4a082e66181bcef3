import json
import shutil

import numpy as np
from PIL import Image


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


def test_notes_of_the_input_are_told(aeedge, vae, dense, tmp_path):
    image = tmp_path / "color.png"
    Image.new("RGB", (8, 8), "red").save(image)
    done = aeedge("reconstruct", dense, image, "-o", tmp_path / "out.png", "--json")
    assert done.json["results"][0]["warnings"] == ["color was reduced to gray: this model takes gray images"]
    done = aeedge("sample", vae, "--posterior", image, "-n", 2, "-o", tmp_path / "grid.png")
    assert (done.code, done.stderr.count("color was reduced to gray")) == (0, 1)
