import numpy as np
import pytest

from aeedge.classic import choose_classics
from aeedge.evaluation import small
from aeedge.evaluation.data import EvaluationImage
from aeedge.evaluation.evaluate import evaluate_set
from aeedge.evaluation.measure import Plan, _measured
from aeedge.evaluation.report.page import to_html
from aeedge.evaluation.verdict import verdict
from aeedge_runtime import AeedgeError, Codec


@pytest.fixture
def images():
    rows, columns = np.mgrid[:16, :16]
    pixels = [(rows * (index % 5) + columns * (index % 3) * 4 + index) % 256 for index in range(12)]
    return np.stack(pixels).astype(np.uint8)[..., None]


def test_a_set_is_measured_as_streams_sheets_and_files(dense, images):
    codec = Codec.load(dense, threads=1)
    shown = [EvaluationImage(str(index), image) for index, image in enumerate(images)]
    plan = Plan((20, 60, 95), choose_classics(["jpeg", "webp4"]), 1, ms_ssim=False)
    found = evaluate_set(codec, shown, plan, span=None, place="here")
    packed = [point for point in found.points if point.codec == "aeedge"]
    assert [point.total_bytes for point in packed] == [len(codec.compress_batch(images, q)) for q in plan.qualities]
    assert {point.codec for point in found.points} == {
        "aeedge", "aeedge-files", "jpeg-sheet", "jpeg-files", "webp4-sheet", "webp4-files",
    }  # fmt: skip
    for match in found.matches:
        assert match.packed_bytes < match.file_bytes
        assert sum(match.chosen.values()) == len(images)
    assert set(found.measured_set.lossless) >= {"npz (deflate)", "xz", "PNG, one sheet", "PNG, a file each"}
    words = " ".join(sentence.text for sentence in verdict(found))
    assert "All images in one stream, quality 60" in words
    assert "lossless form of the set" in words
    assert b"The set without loss" in to_html(found, [])


def test_a_sheet_that_no_classic_codec_can_hold(images, monkeypatch):
    monkeypatch.setattr(small, "SHEET_SIDE", 63)  # 12 images take 4 columns of 16
    with pytest.raises(AeedgeError, match=r"12 images do not fit .* --limit"):
        small._sheet(images)
    monkeypatch.setattr(small, "SHEET_SIDE", 64)
    assert small._sheet(images).shape == (48, 64, 1)


def test_an_image_that_comes_back_in_another_size(images):
    image = EvaluationImage("digit", images[0])
    with pytest.raises(AeedgeError, match="digit: jpeg returned shape"):
        _measured(image, "jpeg", 50, None, lambda _: b"", lambda _: images[0, :8])
