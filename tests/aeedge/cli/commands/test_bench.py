import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from aeedge.benchmark import measure, worker
from aeedge.benchmark import pictures as bench_pictures
from aeedge.benchmark.case import Case
from aeedge.benchmark.engines.aeedge import AeedgeEngine
from aeedge.benchmark.engines.base import WrongResultError, check_pixels, psnr_or_none
from aeedge.benchmark.engines.classic import ClassicEngine
from aeedge.benchmark.inputs import make_material, usual_pictures
from aeedge.benchmark.pictures import draw_picture, fit
from aeedge.benchmark.protocol import QUICK, Effort, Request
from aeedge.cli.commands import bench
from aeedge_runtime import Codec, stream_info

HEAVY = {"torch", "onnx", "lightning", "matplotlib"}
OPTIONS = ("--repeats", 1, "--samples", 3, "--size", "48x40", "--threads", 1)


def test_bench_measures_and_compares_with_itself(aeedge, conv, tmp_path):
    old = tmp_path / "old.json"
    done = aeedge("bench", conv, *OPTIONS, "-o", old)
    assert done.code == 0, done.stderr
    assert "encoder graph" in done.text
    content = json.loads(old.read_text())
    assert content["schema"] == 1
    assert content["environment"]["bundle"]["name"] == "tiny-conv"
    operations = [result["config"]["operation"] for result in content["results"]]
    assert operations == ["compress", "decompress"]
    for result in content["results"]:
        assert sum(s["mean_ms"] for s in result["stages"].values()) == pytest.approx(
            result["total"]["mean_ms"], rel=0.01
        )
        assert result["checked"] == 3
        assert result["providers"].popitem()[1] == "CPUExecutionProvider"
    for result in content["results"]:
        result["total"] = {name: (value or 0) / 1000 for name, value in result["total"].items()}
    old.write_text(json.dumps(content))
    done = aeedge("bench", conv, *OPTIONS, "--json", "--compare", old)
    assert done.code == 1
    assert "total" in done.errors[0]
    assert done.json["comparison"]["changes"][0]["regression"]


def test_a_batch_of_arrays_against_jpeg(aeedge, dense):
    words = ("--input", "array", "--batch", 3, "--against", "jpeg", "--operation", "decompress,decode", "--csv")
    done = aeedge("bench", dense, *OPTIONS, *words)
    assert done.code == 0, done.stderr
    assert "aeedge,decode,cpu,1,3,48,40,50,array,decoder_graph" in done.text
    assert "jpeg,decompress,cpu,1,3,48,40,50,array,decode" in done.text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--against", "torch"), "--against torch needs the run"),
        (("--run", "run"), "--run needs --against torch"),
        (("--quick", "--repeats", 3), "--quick cannot be combined with --repeats"),
        (("--json", "--csv"), "--json and --csv cannot be combined"),
        (("--size", "48"), "--size"),
        (("--size", "0x4"), "--size"),
        (("--against", "gif"), "gif"),
        (("--fail-over", "much"), "expected 0% or more"),
        (("--fail-over", "nan"), "expected 0% or more"),
        (("--operation", "compres"), "compres"),
        (("-o", "-"), "-o needs the name of a file"),
        (("--images", "-"), "--images cannot be read from standard input"),
        (("--picture", "stages.gif"), "--picture: found .gif, expected one of .png, .svg, .pdf"),
        (("--picture", "stages"), "--picture: found no suffix"),
        (("-o", "./same.svg", "--picture", "same.svg"), "-o and --picture would both write"),
        (("--against", "jpeg", "--operation", "encode,decode"), "--against jpeg has only compress and decompress"),
    ],
)
def test_options_that_do_not_fit_are_refused(aeedge, conv, words, message):
    done = aeedge("bench", conv, *words)
    assert (done.code, len(done.errors)) == (2, 1)
    assert message in done.errors[0]


def test_what_is_no_report_is_refused_and_nothing_measured(aeedge, conv, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "_measure", lambda *_: pytest.fail("measured"))
    case = Case("aeedge", "compress", "cpu", 1, 1, 8, 8, 50, "png").to_dict()
    for name, results in {
        "none": [],
        "no-total": [{"config": case, "stages": {}}],
        "no-median": [{"config": case, "stages": {}, "total": {}}],
        "a-list": [{"config": {**case, "threads": [1]}, "stages": {}, "total": {"p50_ms": 1, "noise_percent": 1}}],
        "text": [{"config": case, "stages": {}, "total": {"p50_ms": "1", "noise_percent": 1}}],
    }.items():
        (tmp_path / name).write_text(json.dumps({"schema": 1, "environment": {}, "results": results}))
    (tmp_path / "no-machine").write_text(json.dumps({"schema": 1, "results": []}))
    (tmp_path / "old").write_bytes(b"\xff")
    wrong = [(place.name, "found no benchmark in it") for place in sorted(tmp_path.iterdir())]
    for name, message in (*wrong, ("missing", "cannot be read: No such file")):
        done = aeedge("bench", conv, *OPTIONS, "--compare", tmp_path / name)
        assert (done.code, len(done.errors)) == (3, 1)
        assert message in done.errors[0]


def test_a_picture_without_matplotlib_is_refused_and_nothing_measured(aeedge, conv, monkeypatch):
    monkeypatch.setattr(bench, "_measure", lambda *_: pytest.fail("measured"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    done = aeedge("bench", conv, *OPTIONS, "--picture", "stages.PNG")
    assert (done.code, len(done.errors)) == (1, 1)
    assert "matplotlib is not installed, but charts need it" in done.errors[0]


def test_of_many_pictures_some_are_read_and_each_is_timed(aeedge, conv, draw, tmp_path, monkeypatch):
    for number in range(20):
        draw(tmp_path / "in" / f"{number:02}.png", 48 + number, 40)
    read, made = bench_pictures.load_picture, []
    monkeypatch.setattr(bench_pictures, "load_picture", lambda *words: made.append(words[0].name) or read(*words))
    words = ("--images", tmp_path / "in", "--json", "--operation", "encode")
    done = aeedge("bench", conv, *OPTIONS, *words)
    assert done.json["environment"]["pictures"]["count"] == 8
    assert done.json["results"][0]["checked"] == 3
    assert (made[0], made[-1], len(made)) == ("00.png", "19.png", 8)
    assert (
        aeedge("bench", conv, *OPTIONS, *words).json["environment"]["pictures"] == done.json["environment"]["pictures"]
    )


def test_facts_are_of_the_pictures_that_were_timed(conv, tmp_path):
    codec = Codec.load(conv)
    case = Case("aeedge", "compress", "cpu", 1, 1, 48, 40, 50, "array")
    drawn = [np.full((40, 48, 3), 90, np.uint8)] * 3 + [draw_picture(3)] * 3
    material = make_material(codec, case, drawn, tmp_path / "material")
    request = Request(
        case, str(conv), None, str(material.folder), Effort(repeats=1, warmup=1, samples=3, samples_seconds=0.0)
    )
    assert worker.measure(request).facts["bytes"] == len(material.items()[0].stream())


class Calls:
    """An engine whose calls take a millisecond."""

    def __init__(self):
        self.numbers = []

    def run(self, number):
        time.sleep(0.001)
        self.numbers.append(number)
        return bytes([number])


@pytest.mark.parametrize(
    ("changes", "most", "warmed_up", "timed"),
    [
        ({}, 250, (3, 3), (5, 5)),
        ({"warmup_seconds": 0.04}, 250, (4, 40), (5, 5)),
        ({"warmup_seconds": 9.0, "seconds": 0.04}, 250, (4, 40), (5, 5)),
        ({"samples_seconds": 0.04}, 250, (3, 3), (6, 40)),
        ({"samples_seconds": 0.04}, 7, (3, 3), (7, 7)),
        ({"warmup": 0, "seconds": 0.001}, 250, (0, 0), (3, 4)),
    ],
)
def test_short_calls_are_warmed_up_and_timed_for_some_time(monkeypatch, changes, most, warmed_up, timed):
    monkeypatch.setattr(worker, "MOST_SAMPLES", most)
    effort = replace(Effort(warmup=3, warmup_seconds=0.0, samples=5, samples_seconds=0.0), **changes)
    request = Request(Case("aeedge", "encode", "cpu", 1, 1, 8, 8, 50, "array"), "", None, "", effort)
    engine = Calls()
    samples, _, results = worker._time(engine, 2, request, b"\x00")
    assert results == [b"\x00", b"\x01"]
    assert warmed_up[0] <= len(engine.numbers) - 1 - len(samples) <= warmed_up[1]
    assert timed[0] <= len(samples) <= timed[1]
    assert engine.numbers[-len(samples) :][:3] == [0, 1, 0]


def test_a_full_disk_is_named_with_its_remedy(aeedge, conv, monkeypatch):
    def full(*_, **__):
        raise OSError("12288 requested and 8064 written")

    monkeypatch.setattr(measure, "make_material", full)
    done = aeedge("bench", conv, *OPTIONS)
    assert (done.code, len(done.errors)) == (1, 1)
    assert "could not be written there (12288 requested and 8064 written); free some space" in done.errors[0]


@pytest.mark.parametrize(("batch", "threads"), [(1, 1), (2000, 2)])
def test_the_graph_that_will_run_is_opened_while_loading(dense, batch, threads):
    """Few patches go through a session of one thread, which is part of the load, not of the first run."""
    engine = AeedgeEngine(Case("aeedge", "encode", "cpu", 2, batch, 8, 8, 50, "array"), str(dense))
    engine.load()
    engine.codec.encode_batch(np.zeros((batch, 8, 8, 1), np.uint8))
    assert [key for key in engine.codec._networks._pool._sessions.opened if key[0] == "encoder"] == [
        ("encoder", threads)
    ]


@pytest.mark.parametrize("flag", ["-o", "--picture"])
def test_an_existing_file_is_kept_and_nothing_measured(aeedge, conv, tmp_path, monkeypatch, flag):
    monkeypatch.setattr(bench, "_measure", lambda *_: pytest.fail("measured"))
    path = tmp_path / "old"
    path.write_bytes(b"old")
    done = aeedge("bench", conv, *OPTIONS, flag, path)
    assert (done.code, len(done.errors)) == (1, 1)
    assert "--force replaces it" in done.errors[0]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("flag", ["-o", "--picture"])
def test_a_place_that_cannot_be_written_to_is_refused_and_nothing_measured(aeedge, conv, tmp_path, monkeypatch, flag):
    monkeypatch.setattr(bench, "_measure", lambda *_: pytest.fail("measured"))
    (tmp_path / "file").touch()
    done = aeedge("bench", conv, *OPTIONS, flag, tmp_path / "file" / "x.svg")
    assert (done.code, len(done.errors)) == (2, 1)


def test_reports_without_a_common_case_are_refused_and_nothing_measured(aeedge, conv, tmp_path, monkeypatch):
    case = Case("aeedge", "compress", "cpu", 1, 1, 8, 8, 50, "png")
    total = {"p50_ms": 1.0, "noise_percent": 1.0}
    old = {"schema": 1, "environment": {}, "results": [{"config": case.to_dict(), "total": total, "stages": {}}]}
    (tmp_path / "old.json").write_text(json.dumps(old))
    monkeypatch.setattr(measure, "_run", lambda *_: pytest.fail("measured"))
    done = aeedge("bench", conv, *OPTIONS, "--compare", tmp_path / "old.json")
    assert (done.code, len(done.errors)) == (2, 1)
    assert "no configuration in common" in done.errors[0]


def test_errors_of_a_measuring_process_keep_their_exit_code(aeedge, conv, tmp_path):
    done = aeedge("bench", conv, *OPTIONS, "--device", "provider:Nothing")
    assert done.code == 5
    assert "Nothing" in done.errors[0]
    assert aeedge("bench", tmp_path / "absent").code == 4


def test_a_wrong_result_is_an_error(conv, tmp_path):
    case = Case("aeedge", "decompress", "cpu", 1, 1, 24, 16, 50, "png")
    material = make_material(Codec.load(conv), case, [draw_picture(3)], tmp_path / "material")
    place = material.folder / "000" / "decoded.npy"
    np.save(place, np.load(place) // 2)
    request = Request(case, str(conv), None, str(material.folder), QUICK)
    (tmp_path / "request.json").write_text(json.dumps(request.to_dict()))
    worker.main(str(tmp_path / "request.json"), str(tmp_path / "reply.json"))
    answer = json.loads((tmp_path / "reply.json").read_text())
    assert "differ by" in answer["error"]
    assert answer["exit_code"] == 1


def test_pixels_may_differ_by_one():
    image = np.full((1, 2, 2, 1), 7, np.uint8)
    check_pixels(image, image + 1)
    with pytest.raises(WrongResultError, match="differ by 2"):
        check_pixels(image, image + 2)
    with pytest.raises(WrongResultError, match="expected"):
        check_pixels(image[:, :1], image)
    assert psnr_or_none(image, image) is None
    assert psnr_or_none(image, image + 1) == pytest.approx(48.13, abs=0.01)


@pytest.mark.parametrize(("channels", "width", "height"), [(3, 40, 30), (1, 28, 28), (3, 1500, 1100)])
def test_drawn_pictures_fit_any_size(channels, width, height):
    picture = fit(draw_picture(channels), width, height)
    assert picture.shape == (height, width, channels)
    assert 20 < picture.std() < 90
    assert np.array_equal(draw_picture(channels), draw_picture(channels))


@pytest.mark.parametrize("operation", ["compress", "decompress"])
@pytest.mark.parametrize("engine", ["jpeg", "webp"])
def test_classic_codecs_take_the_lowest_quality_that_is_as_good(conv, tmp_path, engine, operation):
    case = Case(engine, operation, "cpu", 1, 1, 64, 48, 50, "png")
    items = make_material(Codec.load(conv), case, [draw_picture(3)], tmp_path / "material").items()
    classic = ClassicEngine(case, 25.0)
    classic.load()
    classic.prepare(items)
    facts = classic.verify(0, classic.run(0))
    assert facts["bytes"] > 0
    assert 1 <= facts["codec_quality"] < 100
    if operation == "decompress":
        assert facts["psnr_db"] >= 25


def test_the_measuring_process_never_loads_torch():
    text = (
        "import aeedge.benchmark.worker, aeedge.benchmark.engines.aeedge, aeedge.benchmark.engines.classic;"
        "import aeedge.benchmark.measure, aeedge.cli.commands.bench, sys; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(done.stdout.split())


def half_of(bundle, half, target):
    """What `aeedge export --only` writes."""
    shutil.copytree(bundle, target)
    dropped = {"encoder": "decoder.onnx", "decoder": "encoder.onnx"}[half]
    (target / dropped).unlink()
    manifest = json.loads((target / "manifest.json").read_text())
    del manifest["files"][dropped]
    manifest["halves"] = [half]
    (target / "manifest.json").write_text(json.dumps(manifest))
    return target


def test_half_a_bundle_is_measured_as_far_as_it_goes(aeedge, conv, tmp_path):
    encoder, decoder = (half_of(conv, half, tmp_path / half) for half in ("encoder", "decoder"))
    done = aeedge("bench", encoder, *OPTIONS, "--json")
    assert done.code == 0, done.stderr
    assert [result["config"]["operation"] for result in done.json["results"]] == ["compress"]
    done = aeedge("bench", decoder, *OPTIONS, "--json")
    assert done.code == 0, done.stderr
    (result,) = done.json["results"]
    assert (result["config"]["operation"], result["config"]["width"]) == ("decompress", 27)
    bundle = Codec.load(conv).bundle
    infos = [stream_info(bundle.read(name)) for name in bundle.manifest.files if name.endswith(".aee")]
    assert result["config"]["quality"] == max(infos, key=lambda info: info.width * info.height).quality != 50
    assert done.json["environment"]["pictures"]["source"] == "golden"
    assert "its largest golden stream is timed, and no other" in done.stderr
    assert aeedge("bench", decoder, *OPTIONS, "--operation", "compress").code == 1


@pytest.mark.parametrize("half", ["encoder", "decoder"])
def test_half_a_bundle_has_no_psnr_for_classic_codecs(aeedge, conv, tmp_path, monkeypatch, half):
    monkeypatch.setattr(measure, "_run", lambda *_: pytest.fail("measured"))
    done = aeedge("bench", half_of(conv, half, tmp_path / half), *OPTIONS, "--against", "jpeg")
    assert (done.code, len(done.errors)) == (2, 1)
    assert "--against jpeg: classic codecs are matched to the bundle's PSNR" in done.errors[0]


def test_a_bundle_of_patches_is_measured_with_its_golden_images(dense):
    pictures, source = usual_pictures(Codec.load(dense))
    assert source == "golden"
    assert all(picture.shape[2] == 1 and min(picture.shape[:2]) >= 8 for picture in pictures)
