"""A batch on Ray: two nodes, a worker killed in the middle, and a second run that continues."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aeedge_runtime import Codec

IMAGES = 48


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(IMAGES):
        pixels = np.random.default_rng(number).integers(0, 255, (256, 384, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    (folder / "bad.png").write_bytes(b"no image")
    return folder


@pytest.fixture
def cluster(monkeypatch):
    """A Ray cluster of two nodes with one core each, whose processes are children of this one."""
    utilities = pytest.importorskip("ray.cluster_utils")
    made = utilities.Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    yield made
    made.shutdown()


def streams(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.aee")}


class Killer(threading.Thread):
    """Kills one actor after the first streams are there."""

    def __init__(self, output: Path) -> None:
        super().__init__(daemon=True)
        self.output = output
        self.done_before: int | None = None

    def run(self) -> None:
        import psutil

        while len(list(self.output.glob("*.aee"))) < 3:
            time.sleep(0.02)
        actors = [
            child
            for child in psutil.Process().children(recursive=True)
            if any(word.startswith("ray::") and "MapWorker" in word for word in child.cmdline())
        ]
        os.kill(actors[0].pid, signal.SIGKILL)
        self.done_before = len(list(self.output.glob("*.aee")))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # what Ray does at its start is its own affair
def test_a_killed_worker_loses_nothing_and_repeats_nothing(aeedge, conv, images, cluster, tmp_path):
    words = ["compress", images, "-m", conv, "-q", "60", "--no-stored-tiles"]
    assert aeedge(*words, "-o", tmp_path / "local").code == 1
    expected = streams(tmp_path / "local")
    assert len(expected) == IMAGES

    output, manifest = tmp_path / "out", tmp_path / "rows.jsonl"
    words += ["-o", output, "--on", f"ray:{cluster.address}", "--manifest", manifest, "--json"]
    killer = Killer(output)
    killer.start()
    done = aeedge(*words)
    assert killer.done_before is not None
    assert killer.done_before < IMAGES
    assert done.code == 1
    assert done.json["summary"] | {"seconds": 0} == {"written": IMAGES, "skipped": 0, "failed": 1, "seconds": 0}
    assert streams(output) == expected
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert [Path(row["input"]).name for row in rows] == sorted(path.name for path in images.iterdir())
    assert rows == done.json["results"]

    (images / "bad.png").unlink()
    (output / "00.png.aee").unlink()
    (output / "01.png.aee").write_bytes(expected["01.png.aee"][:-1])
    done = aeedge(*words)
    assert done.code == 0
    assert [row["status"] for row in done.json["results"]] == ["written", "written"] + ["skipped"] * (IMAGES - 2)
    assert streams(output) == expected


@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_one_line(aeedge, conv, draw, tmp_path):
    pytest.importorskip("ray")
    draw(tmp_path / "a.png")
    done = aeedge("compress", tmp_path / "a.png", "-m", conv, "-o", tmp_path / "out/", "--on", "ray:127.0.0.1:9")
    assert (done.code, len(done.errors)) == (1, 1)


@pytest.mark.parametrize(
    "words",
    [
        ["--on", "spark", "-o", "out/"],
        ["--on", "ray:", "-o", "out/"],
        ["--on", "ray"],
        ["--on", "ray", "-o", "-"],
        ["--on", "ray", "--pack", "x.aee"],
        ["--manifest", "rows.csv"],
    ],
)
def test_options_that_do_not_fit_are_usage_errors(aeedge, draw, tmp_path, words):
    assert aeedge("compress", draw(tmp_path / "a.png"), *words).code == 2


def test_an_output_that_is_an_input_is_spared(aeedge, conv, draw, tmp_path, monkeypatch):
    monkeypatch.setattr("aeedge.cli.commands.compress.require_extra", lambda *_: None)
    image = draw(tmp_path / "a.png")
    image.rename(tmp_path / "a.aee")
    words = ["compress", tmp_path / "a.aee", "-m", conv, "-o", tmp_path / "a.aee", "--on", "ray"]
    assert aeedge(*words).code == 2


def test_the_worker_keeps_what_is_valid_and_replaces_what_is_not(conv, draw, tmp_path):
    from aeedge.cli.batch.cluster import ClusterWorker
    from aeedge.cli.options.shared import CompressOptions

    defaults = dict.fromkeys(CompressOptions.__dataclass_fields__)
    given = {"images": (), "model": str(conv), "device": "cpu", "quality": 60, "force": False, "as_json": False}
    worker = ClusterWorker(CompressOptions(**{**defaults, **given}))
    image, output = draw(tmp_path / "a.png"), tmp_path / "out" / "a.png.aee"

    def status(existed: bool) -> str:
        rows = {"number": [0], "input": [str(image)], "output": [str(output)], "existed": [existed]}
        (text,) = worker({name: np.array(values) for name, values in rows.items()})["outcome"]
        return json.loads(text)["status"]

    assert status(False) == "written"
    stream = output.read_bytes()
    assert stream == Codec.load(conv).compress(image, 60)
    assert (status(True), status(False)) == ("skipped", "written")  # the latter by an actor that died
    output.write_bytes(stream[:-1])
    assert status(True) == "written"
    assert output.read_bytes() == stream


@pytest.mark.parametrize("words", [["--on", "ray", "-o", "out/"], ["--manifest", "rows.parquet"]])
def test_a_missing_library_is_one_line_before_any_work(aeedge, draw, tmp_path, monkeypatch, words):
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    done = aeedge("compress", draw(tmp_path / "a.png"), *words)
    assert (done.code, len(done.errors)) == (1, 1)
    assert 'pip install "aeedge[ray]"' in done.stderr


def test_outcomes_are_in_order_under_the_names_of_the_command_and_none_may_be_lost(
    aeedge, conv, draw, tmp_path, monkeypatch
):
    from aeedge.cli.batch import cluster
    from aeedge.cli.batch.jobs import Outcome, Result

    monkeypatch.setattr("aeedge.cli.commands.compress.require_extra", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        draw(Path("in") / f"{name}.png")
    made = [(1, Outcome("/b", "written", result=Result("/x", ""))), (0, Outcome("/a", "skipped"))]
    monkeypatch.setattr(cluster, "_outcomes", lambda rows, options: iter(made))
    words = ["compress", "in", "-m", conv, "-o", "out", "--on", "ray", "--json"]
    rows = aeedge(*words).json["results"]
    assert [row["input"] for row in rows] == ["in/a.png", "in/b.png"]
    assert [row.get("output") for row in rows] == [None, "out/b.png.aee"]
    made.pop()
    done = aeedge(*words)
    assert (done.code, len(done.errors)) == (1, 1)
