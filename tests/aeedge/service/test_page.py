import pytest

pytest.importorskip("fastapi")

from aeedge.service.page import FOLDERS, service_page


def test_the_page_asks_the_service():
    html = next(folder for folder in FOLDERS if folder.is_dir()) / "demo" / "index.html"
    page = service_page(html.read_text())
    assert '<body data-service="/">' in page
    assert "data-bundle" not in page
    assert '<base href="/web/demo/" />' in page
