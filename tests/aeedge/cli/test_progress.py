import sys

from aeedge.cli.progress import Progress, progress_line


def test_progress_line_has_count_rate_and_time_left():
    assert progress_line(120, 1000, 2.0, "images") == "  120 of 1,000 images, 60.0 a second, 0:15 left"
    assert progress_line(0, 10, 1.0, "images") == " 0 of 10 images"
    assert progress_line(1, 10_000, 1.0, "images").endswith("2:46:39 left")


def test_progress_is_silent_when_stderr_is_no_terminal(capsys):
    with Progress(3) as progress:
        progress._start -= 10
        progress.update(1)
    assert capsys.readouterr().err == ""


def test_progress_shows_and_vanishes_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with Progress() as progress:
        progress._start -= 10
        progress.report(1, 3, "images")
    drawn = capsys.readouterr().err
    assert "1 of 3 images" in drawn
    assert drawn.endswith("\r\x1b[2K")
