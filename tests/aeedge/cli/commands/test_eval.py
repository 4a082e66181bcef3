import csv
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from aeedge.cli.commands import eval as command

pytest.importorskip("scipy")  # the extra report

QUICK = ("--qualities", "10,50,90", "--against", "jpeg,webp4", "--threads", 1)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    generator = np.random.default_rng(3)
    for name, (height, width) in {"a.png": (176, 184), "b & <c>.png": (90, 120)}.items():
        rough = Image.fromarray(generator.integers(0, 256, (height // 8, width // 8, 3)).astype(np.uint8))
        rough.resize((width, height), Image.Resampling.BICUBIC).save(folder / name)
    return folder


def test_report_csv_and_json_are_written(aeedge, conv, photos, tmp_path):
    out = tmp_path / "out"
    done = aeedge("eval", conv, "--data", photos, "-o", out, *QUICK)
    assert done.code == 0, done.stderr
    assert done.text.splitlines()[-1] == f"report {out / 'report.html'}"
    rows = list(csv.DictReader((out / "results.csv").read_text().splitlines()))
    per_image = 3 + 9 + 8
    assert len(rows) == 2 * per_image
    assert {row["codec"] for row in rows} == {"aeedge", "jpeg", "webp4"}
    assert all(row["ms_ssim"] for row in rows if row["image"] == "a.png")
    assert not any(row["ms_ssim"] for row in rows if row["image"] != "a.png")
    assert all(bool(row["ssimulacra2"]) == (row["image"] == "a.png") for row in rows)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["schema"] == 1
    assert summary["method"]["psnr_range_db"] == [28.5, 36.0]
    assert summary["against"][0]["bd_rate_psnr"]["not_covered"].startswith("aeedge covers")
    assert set(summary["bd_rate_of_images"]["jpeg"]) == {"a.png", "b & <c>.png"}
    assert summary["verdict"]


def test_files_that_are_left_out_are_named_and_cost_the_exit_code(aeedge, conv, photos, tmp_path):
    (photos / "broken.png").write_bytes(b"not an image")
    out = tmp_path / "out"
    done = aeedge("eval", conv, "--data", photos, "-o", out, "--no-ms-ssim", *QUICK)
    assert done.code == 1
    (left_out,) = json.loads((out / "summary.json").read_text())["data"]["left_out"]
    assert left_out.startswith(str(photos / "broken.png"))


def test_bytes_are_those_of_the_real_stream(aeedge, conv, photos, tmp_path):
    out = tmp_path / "out"
    assert aeedge("eval", conv, "--data", photos, "-o", out, "--no-ms-ssim", "--no-ssimulacra2", *QUICK).code == 0
    rows = list(csv.DictReader((out / "results.csv").read_text().splitlines()))
    assert not any(row["ms_ssim"] or row["ssimulacra2"] for row in rows)
    (found,) = (row for row in rows if (row["image"], row["codec"], row["quality"]) == ("a.png", "aeedge", "50"))
    assert aeedge("compress", photos / "a.png", "-m", conv, "-o", tmp_path / "a.aee", "-q", 50).code == 0
    assert int(found["total_bytes"]) == (tmp_path / "a.aee").stat().st_size


def test_the_report_loads_nothing_and_escapes_names(aeedge, conv, photos, tmp_path):
    out = tmp_path / "out"
    assert aeedge("eval", conv, "--data", photos, "-o", out, "--examples", 2, *QUICK).code == 0
    page = (out / "report.html").read_text()
    assert not re.search(r"https?://|@import|url\((?!#)", page)
    assert all(source.startswith("data:image/webp;base64,") for source in re.findall(r'src="([^"]*)"', page))
    assert "b &amp; &lt;c&gt;.png" in page
    assert "<c>" not in page
    assert page.count('type="range"') == 2
    assert page.index('id="images"') < page.index('id="verdict"')


def test_json_is_one_object(aeedge, conv, photos, tmp_path):
    done = aeedge("eval", conv, "--data", photos, "-o", tmp_path / "out", "--limit", 1, "--json", *QUICK)
    assert done.json["command"] == "eval"
    assert done.json["data"]["images"] == 1
    assert done.json["against"][0]["bd_rate_ssimulacra2"]["range_points"] == [50, 80]
    assert "SSIMULACRA2" in done.text
    assert [curve["codec"] for curve in done.json["curves"]] == ["aeedge", "jpeg", "webp4"]
    assert "NaN" not in done.text
    assert "Infinity" not in done.text


def test_small_images_are_judged_as_a_set(aeedge, dense, draw, tmp_path):
    for index in range(4):
        draw(tmp_path / "in" / f"{index}.png", 16, 24)
    done = aeedge("eval", dense, "--data", tmp_path / "in", "-o", tmp_path / "out", "--json", *QUICK)
    assert done.code == 0, done.stderr
    assert len(done.json["small_images"]["matches"]) == 3
    assert "xz" in done.json["small_images"]["lossless_bytes"]


def test_nothing_is_overwritten_without_force(aeedge, conv, photos, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "results.csv").write_text("mine")
    done = aeedge("eval", conv, "--data", photos, "-o", out, *QUICK)
    assert done.code == 1
    assert "results.csv exists; --force replaces it" in done.errors[0]
    assert (out / "results.csv").read_text() == "mine"


def test_a_place_that_cannot_be_written_to_is_refused_before_the_work(aeedge, conv, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_run", lambda *_: pytest.fail("measured"))
    (tmp_path / "file").touch()
    done = aeedge("eval", conv, "--data", photos, "-o", tmp_path / "file" / "out", *QUICK)
    assert (done.code, len(done.errors)) == (2, 1)


@pytest.mark.slow
def test_processes_give_the_same_bytes(aeedge, conv, photos, tmp_path):
    sizes = []
    for jobs in (1, 2):
        out = tmp_path / str(jobs)
        assert aeedge("eval", conv, "--data", photos, "-o", out, "--no-ms-ssim", "--jobs", jobs, *QUICK).code == 0
        rows = csv.DictReader((out / "results.csv").read_text().splitlines())
        sizes.append([(row["image"], row["codec"], row["quality"], row["total_bytes"]) for row in rows])
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--qualities", "10"), "expected at least two qualities"),
        (("--qualities", "a,b"), "expected at least two qualities"),
        (("--psnr-range", "36:28"), "expected LOW:HIGH in dB"),
        (("--against", "gif"), "found gif, expected some of jpeg"),
    ],
)
def test_wrong_options_are_usage_errors(aeedge, conv, photos, tmp_path, words, message):
    done = aeedge("eval", conv, "--data", photos, "-o", tmp_path / "out", *words)
    assert done.code == 2
    assert message in done.errors[0]


def test_a_missing_extra_is_named(aeedge, conv, photos, tmp_path, monkeypatch):
    monkeypatch.setattr("aeedge.cli.commands.eval.NEEDED", ("no_such_package",))
    done = aeedge("eval", conv, "--data", photos, "-o", tmp_path / "out")
    assert done.code == 1
    assert 'pip install "aeedge[report]"' in done.errors[0]


def test_the_evaluation_never_loads_torch():
    names = "aeedge.cli.commands.eval, aeedge.evaluation.report.page, aeedge.evaluation.results"
    text = f"import {names}\nimport sys\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()).isdisjoint({"torch", "onnx", "torchmetrics", "lightning"})


def test_a_classic_codec_that_returns_an_image_exactly_is_compared_too(aeedge, tmp_path):
    levels = np.random.default_rng(0).integers(110, 140, (6, 6, 1), np.uint8)
    (tmp_path / "flat").mkdir()
    Image.fromarray(np.kron(levels, np.ones((32, 32, 3), np.uint8))).save(tmp_path / "flat" / "a.png")
    options = ("--qualities", "1,50,100", "--against", "jpeg", "--psnr-range", "40:44", "--no-ms-ssim", "--threads", 1)
    done = aeedge("eval", "photo", "--data", tmp_path / "flat", "-o", tmp_path / "out", *options)
    assert done.code == 0, done.stderr
    with (tmp_path / "out" / "results.csv").open() as file:
        assert "inf" in {row["psnr_db"] for row in csv.DictReader(file) if row["codec"] == "jpeg"}
