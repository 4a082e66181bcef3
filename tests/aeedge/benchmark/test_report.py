import csv
import io
import itertools

import pytest

from aeedge.benchmark.case import Case, Grid, operations_of
from aeedge.benchmark.meters import EnergyMeter, peak_bytes, resident_bytes
from aeedge.benchmark.protocol import Reply
from aeedge.benchmark.regression import compare, read_report
from aeedge.benchmark.summary import LEAST_FOR_P99, noise_percent, percentile, summarize
from aeedge.benchmark.tables import as_csv, as_markdown, comparison_table, tables
from aeedge_runtime.errors import ArgumentError, InputError

MS = 1_000_000
CASE = Case("aeedge", "compress", "cpu", 2, 1, 64, 48, 50, "jpeg")


def reply(*samples_ms, joules=None, **stages_ms):
    samples = [{"encoder_graph": int(value * MS), "other": MS} for value in samples_ms]
    for sample in samples:
        sample.update({name: int(value * MS) for name, value in stages_ms.items()})
    return Reply(5.0, 4.0, 3.0, samples, joules, 10**6, 3 * 10**6, {"encoder": "CPU"}, {"bytes": 96, "psnr_db": 30.0})


def report(*replies, **environment):
    return {"schema": 1, "environment": environment, "results": [summarize(CASE, replies)]}


def test_a_grid_has_every_case_once_and_engines_only_what_they_do():
    grid = Grid(("compress", "encode"), ("cpu", "cuda"), (1, 2), (1,), ((8, 8),), 50, "png", ("jpeg", "torch-eager"))
    cases = grid.cases()
    assert len(cases) == len(set(cases)) == 8 + 1 + 4
    assert all(case.operation in operations_of(case.engine) for case in cases)
    with pytest.raises(ArgumentError, match="gif"):
        operations_of("gif")


def test_a_case_survives_json_and_refuses_unknown_keys():
    assert Case.from_dict(CASE.to_dict()) == CASE
    with pytest.raises(InputError, match="colour"):
        Case.from_dict({**CASE.to_dict(), "colour": 1})


def test_means_of_stages_add_up_and_percentiles_are_ordered():
    result = summarize(CASE, [reply(1, 2, 9), reply(2, 3, 4, quantise=2)])
    total, stages = result["total"], result["stages"]
    assert sum(stage["mean_ms"] for stage in stages.values()) == pytest.approx(total["mean_ms"], abs=1e-3)
    assert sum(stage["share_percent"] for stage in stages.values()) == pytest.approx(100, abs=0.1)
    assert list(stages) == ["encoder_graph", "quantise", "other"]
    assert total["best_ms"] <= total["p50_ms"] <= total["p90_ms"] <= total["p95_ms"]
    assert "p99_ms" not in total
    assert (result["samples"], result["bits_per_pixel"]) == (6, 0.25)
    assert (result["peak_memory_mb"], result["work_memory_mb"]) == (3.0, 2.0)


def test_the_99th_percentile_needs_662_samples():
    assert "p99_ms" in summarize(CASE, [reply(*range(LEAST_FOR_P99))])["total"]
    assert "p99_ms" not in summarize(CASE, [reply(*range(LEAST_FOR_P99 - 1))])["total"]


def test_percentiles_interpolate():
    assert percentile([1.0, 2.0, 3.0], 50) == 2.0
    assert percentile([1.0, 2.0], 90) == pytest.approx(1.9)
    assert percentile([7.0], 95) == 7.0


def test_the_noise_floor_is_what_the_same_thing_differs_by():
    assert noise_percent([[1.0, 1.0], [1.0, 1.0]]) == 0
    assert noise_percent([[1.0], [1.2]]) == pytest.approx(100 * 0.2 / 1.1)
    assert noise_percent([[1.0, 5.0]]) is None


def test_images_per_joule_only_with_a_counter():
    assert summarize(CASE, [reply(1, 1, joules=0.5), reply(1, 1, joules=0.5)])["images_per_joule"] == 4
    assert summarize(CASE, [reply(1, joules=None)])["images_per_joule"] is None


def test_the_energy_meter_adds_packages_and_mends_a_wrap(tmp_path):
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text("900000\n")
        (tmp_path / name / "max_energy_range_uj").write_text("999999\n")
    meter = EnergyMeter(tmp_path)
    assert meter.available
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("100000\n")
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("950000\n")
    assert meter.joules() == pytest.approx(0.25)
    assert meter.joules() == 0
    assert not EnergyMeter(tmp_path / "absent").available


def test_memory_is_measured_where_the_system_tells():
    assert (peak_bytes() or 1) > 0
    assert resident_bytes() is None or resident_bytes() > 10**6


def test_a_slower_stage_is_named_and_a_faster_one_is_not():
    before = report(reply(10, 10, quantise=5), reply(10, 10, quantise=5))
    now = report(reply(8, 8, quantise=9), reply(8, 8, quantise=9))
    found = compare(before, now, 10)
    assert [change.figure for change in found.regressions] == ["total", "quantise"]
    assert "quantise 5 -> 9 ms" in str(found.regressions[1])
    assert not compare(before, now, 100).regressions
    assert not compare(now, before, 10).regressions[1:]


def test_what_lies_within_the_noise_is_no_regression():
    quiet, noisy = report(reply(10), reply(10)), report(reply(10), reply(14))
    assert noisy["results"][0]["total"]["p50_ms"] > quiet["results"][0]["total"]["p50_ms"] * 1.1
    assert not compare(quiet, noisy, 10).regressions


def test_a_tiny_stage_may_double():
    found = compare(report(reply(10, quantise=0.01)), report(reply(10, quantise=0.02)), 10)
    assert not found.regressions


def test_other_machines_are_noted_and_other_cases_refused():
    found = compare(report(reply(1), cpu="a"), report(reply(1), cpu="b"), 10)
    assert found.notes == ["cpu was a, is b"]
    found = compare(report(reply(1), gpus=[{"driver": 1}], pictures={"count": 1}), report(reply(1), gpus=[]), 10)
    assert found.notes == ["the GPUs, or their drivers, differ", "the pictures differ"]
    other = report(reply(1))
    other["results"][0]["config"]["threads"] = 7
    with pytest.raises(ArgumentError, match="in common"):
        compare(report(reply(1)), other, 10)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2, "results": []}', '{"schema": 1, "results": [1]}'])
def test_a_file_that_is_no_benchmark_is_refused(tmp_path, text):
    (tmp_path / "old.json").write_text(text)
    with pytest.raises(InputError, match=r"old\.json"):
        read_report(tmp_path / "old.json")


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


def test_the_picture_is_drawn():
    pytest.importorskip("matplotlib")
    from aeedge.benchmark.chart import draw_chart

    results = report(reply(1, 2), reply(1, 3))["results"]
    assert draw_chart(results, "machine", ".png").startswith(b"\x89PNG")
    with pytest.raises(ArgumentError, match=r"expected one of \.png, \.svg, \.pdf"):
        draw_chart(results, "machine", ".bmp")


def test_runs_are_interleaved_forwards_and_backwards():
    from aeedge.benchmark.measure import _interleaved

    assert list(itertools.chain(_interleaved(["a", "b"], 3))) == ["a", "b", "b", "a", "a", "b"]
