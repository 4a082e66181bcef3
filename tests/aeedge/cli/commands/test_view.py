import webbrowser
from pathlib import Path
from urllib.parse import urlparse


def test_the_page_is_written_or_opened(aeedge, draw, conv, tmp_path, monkeypatch):
    draw(tmp_path / "a.png")
    aeedge("compress", tmp_path / "a.png", "-m", conv)
    words = ("view", tmp_path / "a.png.aee", "-m", conv)
    done = aeedge(*words, "-o", tmp_path / "page.html")
    assert done.code == 0, done.stderr
    assert b"a.png.aee" in (tmp_path / "page.html").read_bytes()
    assert aeedge(*words, "-o", tmp_path / "page.html").code == 1
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    assert aeedge(*words).code == 0
    assert Path(urlparse(opened[0]).path).read_bytes() == (tmp_path / "page.html").read_bytes()


def test_without_a_bundle_it_is_found_by_stream_id(aeedge, draw, conv, tmp_path, monkeypatch):
    draw(tmp_path / "a.png")
    aeedge("compress", tmp_path / "a.png", "-m", conv)
    assert aeedge("view", tmp_path / "a.png.aee", "-o", tmp_path / "page.html").code == 4
    monkeypatch.setenv("AEEDGE_BUNDLES", str(conv))
    assert aeedge("view", tmp_path / "a.png.aee", "-o", tmp_path / "page.html").code == 0


def test_another_file_is_refused(aeedge, draw, tmp_path):
    draw(tmp_path / "a.png")
    assert aeedge("view", tmp_path / "a.png", "-o", tmp_path / "page.html").code == 3
