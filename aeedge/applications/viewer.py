"""A page that shows the images of a stream: one HTML file that needs no server, no script and no network."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape

from aeedge.figures import count, exactness
from aeedge_runtime import Picture, StreamInfo
from aeedge_runtime.images.save import picture_bytes

MOST_IMAGES = 200
"""Images of a packed stream on one page; the others are counted."""

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; }
figure { display: inline-block; margin: 0 1rem 1rem 0; max-width: 100%; vertical-align: top; }
img { background: repeating-conic-gradient(#8884 0 25%, #8880 0 50%) 0 0 / 16px 16px; display: block; height: auto;
  max-width: 100%; }
figcaption { font-size: .875rem; overflow-wrap: anywhere; }
dl { display: grid; gap: 0 1rem; grid-template-columns: max-content 1fr; }
dd { margin: 0; overflow-wrap: anywhere; }
"""


def view_page(title: str, info: StreamInfo, pictures: Sequence[Picture], names: Sequence[str] | None = None) -> bytes:
    """Return the page.

    Args:
        title: of the page, the stream's name.
        info: facts of the stream.
        pictures: its images, in order.
        names: of the images, or None.
    """
    labels = list(names) if names else [title if len(pictures) == 1 else f"{n + 1}" for n in range(len(pictures))]
    shown = list(zip(labels, pictures, strict=True))[:MOST_IMAGES]
    figures = "\n".join(_figure(label, picture) for label, picture in shown)
    rows = {
        "Images": f"{info.count:,} of {info.width}x{info.height}{', gray' if info.gray else ''}",
        "Stream": f"{info.total_bytes:,} bytes, {info.bits_per_pixel:.3g} bits per pixel, quality {info.quality}",
        "Stream id": info.stream_id,
    }
    if parts := exactness(info.stored_tiles, info.tiles, info.max_error):
        rows["Exactness"] = ", ".join(parts)
    if len(pictures) > len(shown):
        rows["Not shown"] = count(len(pictures) - len(shown), "image")
    facts = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in rows.items())
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    page = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{escape(title)}</title>
<style>{STYLE}</style>
<h1>{escape(title)}</h1>
<main>
{figures}
</main>
<dl>{facts}</dl>
</html>
"""
    return page.encode("ascii", "xmlcharrefreplace")


def _figure(label: str, picture: Picture) -> str:
    data = b64encode(picture_bytes(picture, ".png")[0]).decode()
    height, width = picture.pixels.shape[:2]
    text = escape(label, quote=True)
    image = f'<img src="data:image/png;base64,{data}" width="{width}" height="{height}" alt="{text}">'
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"
