import csv
import io

import pytest

from aeedge.benchmark.case import Case
from aeedge.benchmark.protocol import Reply
from aeedge.benchmark.regression import compare
from aeedge.benchmark.summary import summarize
from aeedge.benchmark.tables import as_csv, as_markdown, comparison_table, tables

MS = 1_000_000
CASE = Case("aeedge", "compress", "cpu", 2, 1, 64, 48, 50, "jpeg")


def reply(*samples_ms, joules=None, **stages_ms):
    samples = [{"encoder_graph": int(value * MS), "other": MS} for value in samples_ms]
    for sample in samples:
        sample.update({name: int(value * MS) for name, value in stages_ms.items()})
    return Reply(5.0, 4.0, 3.0, samples, joules, 10**6, 3 * 10**6, {"encoder": "CPU"}, {"bytes": 96, "psnr_db": 30.0})


def report(*replies, **environment):
    return {"schema": 1, "environment": environment, "results": [summarize(CASE, replies)]}


def test_tables_have_a_cell_for_every_header():
    results = report(reply(1, 2), reply(1, 3))["results"]
    parts = [*tables(results), comparison_table(compare(report(reply(1)), report(reply(2)), 10).changes)]
    assert all(len(row) == len(table.headers) for table in parts for row in table.rows)
    text = as_markdown(parts, ["machine"])
    assert "| encoder graph |" in text
    assert "SLOWER" in text


def test_csv_has_a_line_for_the_total_and_every_stage():
    rows = list(csv.DictReader(io.StringIO(as_csv(report(reply(1, 2))["results"]))))
    assert [row["stage"] for row in rows] == ["total", "encoder_graph", "other"]
    assert float(rows[0]["p50_ms"]) == pytest.approx(2.5)
    assert all(row["width"] == "64" for row in rows)
