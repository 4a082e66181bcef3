import pytest

from aeedge.benchmark.case import Case
from aeedge.benchmark.protocol import Reply
from aeedge.benchmark.summary import summarize
from aeedge_runtime.errors import ArgumentError

MS = 1_000_000
CASE = Case("aeedge", "compress", "cpu", 2, 1, 64, 48, 50, "jpeg")


def reply(*samples_ms, joules=None, **stages_ms):
    samples = [{"encoder_graph": int(value * MS), "other": MS} for value in samples_ms]
    for sample in samples:
        sample.update({name: int(value * MS) for name, value in stages_ms.items()})
    return Reply(5.0, 4.0, 3.0, samples, joules, 10**6, 3 * 10**6, {"encoder": "CPU"}, {"bytes": 96, "psnr_db": 30.0})


def report(*replies, **environment):
    return {"schema": 1, "environment": environment, "results": [summarize(CASE, replies)]}


def test_the_picture_is_drawn():
    pytest.importorskip("matplotlib")
    from aeedge.benchmark.chart import draw_chart

    results = report(reply(1, 2), reply(1, 3))["results"]
    assert draw_chart(results, "machine", ".png").startswith(b"\x89PNG")
    with pytest.raises(ArgumentError, match=r"expected one of \.png, \.svg, \.pdf"):
        draw_chart(results, "machine", ".bmp")
