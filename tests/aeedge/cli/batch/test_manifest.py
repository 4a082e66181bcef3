import json

import pytest

from aeedge.cli.batch.jobs import Outcome, Result
from aeedge.cli.batch.manifest import write_manifest

OUTCOMES = [
    Outcome(
        "a.png", "written", result=Result("a.png.aee", "", {"bytes": 12, "bits_per_pixel": 0.5, "verified": False})
    ),
    Outcome("b.png", "failed", exit_code=3, error="damaged", warnings=("16 bits",)),
]


def test_json_lines(tmp_path):
    path = tmp_path / "deep" / "rows.jsonl"
    write_manifest(path, OUTCOMES)
    write_manifest(path, OUTCOMES)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [row.to_json() for row in OUTCOMES]


def test_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_manifest(tmp_path / "rows.parquet", OUTCOMES)
    first, second = parquet.read_table(tmp_path / "rows.parquet").to_pylist()
    assert (first["output"], first["bytes"], first["error"]) == ("a.png.aee", 12, None)
    assert (second["status"], second["bytes"], second["warnings"]) == ("failed", None, ["16 bits"])


def test_a_local_batch_has_a_manifest_too(aeedge, conv, draw, tmp_path):
    image = draw(tmp_path / "a.png")
    assert aeedge("compress", image, "-m", conv, "--manifest", tmp_path / "rows.jsonl").code == 0
    assert json.loads((tmp_path / "rows.jsonl").read_text())["output"] == f"{image}.aee"
