"""The page of the service: the demo for browsers, with this service in place of the codec in the page."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

import aeedge_runtime

FOLDERS = (Path(__file__).parent / "web", Path(aeedge_runtime.__file__).parents[1] / "web")
"""Where the demo and the modules that it imports are: in an installed package, and in a checkout."""

ROUTE = "/web"


def add_page(app: FastAPI) -> None:
    """Add the page at / and its files, where they are installed."""
    folder = next((folder for folder in FOLDERS if (folder / "demo" / "index.html").is_file()), None)
    if folder is None:
        return
    page = service_page((folder / "demo" / "index.html").read_text(encoding="utf-8"))
    for name in ("demo", "src"):
        app.mount(f"{ROUTE}/{name}", StaticFiles(directory=folder / name), name=name)

    @app.get("/", include_in_schema=False)
    async def show() -> HTMLResponse:
        return HTMLResponse(page)


def service_page(html: str) -> str:
    """Return the demo's page such that it asks the service that it comes from."""
    html = html.replace("<head>", f'<head>\n    <base href="{ROUTE}/demo/" />', 1)
    return re.sub(r"<body[^>]*>", '<body data-service="/">', html, count=1)
