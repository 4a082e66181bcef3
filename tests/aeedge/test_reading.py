import io

import numpy as np
import pytest
from PIL import Image

from aeedge.reading import ReadingReport, read_pixels
from aeedge_runtime import AeedgeWarning, InputError


def test_what_changes_on_reading_is_said():
    file = io.BytesIO()
    Image.new("RGBA", (3, 2), (255, 0, 0, 128)).save(file, "PNG")
    pixels, notes = read_pixels(file.getvalue(), 1)
    assert pixels.shape == (2, 3, 1)
    assert len(notes) == 2
    assert "alpha is left out" in notes
    assert read_pixels(np.zeros((2, 3, 3), np.uint8), 3)[1] == ()


def test_a_report_warns_once_for_each_kind():
    report = ReadingReport()
    for number in range(5):
        report.fail(f"{number}.png", InputError("image bytes: damaged"))
        report.notes.update(["alpha is left out"])
    with pytest.warns(AeedgeWarning) as caught:
        report.warn()
    failures, notes = (str(warning.message) for warning in caught)
    assert failures.startswith("5 files left out: 0.png: damaged; ")
    assert failures.endswith("2.png: damaged, and 2 more")
    assert notes == "5 images: alpha is left out"


def test_an_empty_report_is_silent():
    ReadingReport().warn()
