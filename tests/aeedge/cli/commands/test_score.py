import csv
import io
import os
import sys

import pytest
from PIL import Image


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


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
    with Image.open(tmp_path / "m" / "good" / "a.png") as heat:
        assert (heat.size, heat.mode) == ((24, 16), "RGB")
    assert aeedge(*words).code == 1
    assert aeedge(*words, "--force").code == 0


def test_heat_maps_of_one_name_are_refused_before_the_work(aeedge, gray, calibrated, tmp_path):
    images = gray("a/x.png"), gray("b/x.png")
    done = aeedge("score", calibrated, *images, "--heat-maps", tmp_path / "m", "--force")
    assert (done.code, done.text) == (2, "")
    assert "would both be written to" in done.errors[0]
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "x.png").write_bytes(b"kept")
    done = aeedge("score", calibrated, images[0], "--heat-maps", tmp_path / "m")
    assert (done.code, done.text) == (1, "")
    assert aeedge("score", calibrated, "-", "--heat-maps", tmp_path / "m", stdin=images[0].read_bytes()).code == 0
    assert sorted(place.name for place in (tmp_path / "m").iterdir()) == ["stdin.png", "x.png"]


def test_score_of_files_that_are_no_images(aeedge, calibrated, tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"no image")
    for names, code in ((["a.png"], 3), (["a.png", "b.png"], 1)):
        done = aeedge("score", calibrated, *(tmp_path / name for name in names), "-o", tmp_path / "s.csv")
        assert done.code == code
        assert [line.split(": ")[2][:12] for line in done.errors] == ["not an image"] * len(names)
        assert not (tmp_path / "s.csv").exists()


def test_score_of_a_data_set_as_json(aeedge, calibrated):
    done = aeedge("score", calibrated, "--data", "synthetic", "--limit", 5, "--json")
    assert done.code == 0
    assert done.json["summary"]["images"] == 5
    assert {"name", "label", "score", "anomalous"} == done.json["results"][0].keys()


def test_a_count_of_files_is_spread_over_all(aeedge, gray, dense, tmp_path):
    for name in ("bird/a.png", "bird/b.png", "bird/c.png", "cat/a.png", "cat/b.png"):
        gray(name)
    done = aeedge("score", dense, "--data", tmp_path / "in", "--limit", 3, "--normal", "bird")
    assert done.code == 0, done.stderr
    assert [row["name"] for row in rows_of(done.text)] == ["bird/a.png", "bird/c.png", "cat/b.png"]


def test_score_names_bad_files_and_scores_the_others(aeedge, gray, calibrated, tmp_path):
    gray("a.png")
    (tmp_path / "in" / "b.png").write_bytes(b"no image")
    done = aeedge("score", calibrated, tmp_path / "in")
    assert (done.code, len(rows_of(done.text)), len(done.errors)) == (1, 1, 1)
    assert aeedge("score", calibrated, tmp_path / "in" / "b.png").code == 3


def test_score_names_what_could_not_be_read_in_json_too(aeedge, gray, calibrated, tmp_path):
    done = aeedge("score", calibrated, gray("a.png"), tmp_path / "missing.png", "--json")
    (failure,) = done.json["failures"]
    assert (done.code, failure["input"], failure["exit_code"]) == (1, str(tmp_path / "missing.png"), 3)
    assert "cannot be read" in failure["error"]


def test_good_images_as_reference_with_masks(aeedge, gray, dense, tmp_path):
    for number in range(44):
        gray(f"good/{number}.png", noise=1)
    with Image.open(gray("odd/a.png", noise=1)) as image:
        defect = image.copy()
    defect.paste(255, (8, 8, 12, 12))
    defect.save(tmp_path / "in" / "odd" / "a.png")
    mask = Image.new("L", defect.size)
    mask.paste(255, (8, 8, 12, 12))
    (tmp_path / "masks" / "odd").mkdir(parents=True)
    mask.save(tmp_path / "masks" / "odd" / "a_mask.png")
    words = ("score", dense, tmp_path / "in", "--reference", tmp_path / "in" / "good", "--normal", "good")
    done = aeedge(*words, "--masks", tmp_path / "masks", "--heat-maps", tmp_path / "maps", "--json")
    assert done.code == 0, done.stderr
    summary = done.json["summary"]
    assert (summary["auroc"], summary["masks"], summary["calibrated_on"]) == (1.0, 1, 22)
    assert summary["pixel_auroc"] > 0.9
    assert done.json["results"][-1]["anomalous"]
    assert (tmp_path / "maps" / "odd" / "a.png").is_file()


def test_options_of_the_reference_need_one(aeedge, gray, dense, tmp_path):
    image = gray("a.png")
    for words in (("--masks", tmp_path), ("--false-positive-rate", 0.1)):
        assert aeedge("score", dense, image, *words).code == 2
    assert aeedge("score", dense, image, "--reference", image).code == 2
