"""`aeedge view`: shows a stream in a browser, as one self-contained page."""

import tempfile
import webbrowser
from pathlib import Path

import click

from aeedge.cli.console import note, say
from aeedge.cli.options.parameters import PATH
from aeedge.cli.options.shared import force_option, model_option
from aeedge.cli.outlet import Outlet
from aeedge.figures import printable
from aeedge.sources import Source
from aeedge_runtime.remote import location


@click.command()
@click.argument("file", metavar="FILE.aee")
@click.option("-o", "--output", metavar="PAGE.html", type=PATH, help="Write the page instead of opening it.")
@model_option
@force_option
def view(file: str, output: Path | None, model: str | None, force: bool) -> None:
    """Show the images of a stream in a browser.

    FILE.aee may be a URL. The page holds the decoded images, so it can be sent to people without aeedge. Without -o, it
    is written to a temporary folder and opened.
    """
    stream = location(file)
    outlet = Outlet([Source(stream, Path(stream.name))], force=force)
    if output:
        outlet.check(output)

    from aeedge.applications.viewer import view_page
    from aeedge_runtime import Codec, stream_info, stream_names
    from aeedge_runtime.codec_cache import CodecCache

    info = stream_info(stream)
    codec = CodecCache().for_stream(info.stream_id) if model is None else Codec.load(model)
    page = view_page(printable(stream.name), info, codec.decompress_pictures(stream), stream_names(stream))
    if output:
        outlet.write(output, page)
        say(f"{printable(file)} -> {printable(output)}: {len(page):,} bytes")
        return
    path = Path(tempfile.mkdtemp(prefix="aeedge-view-")) / "page.html"
    path.write_bytes(page)
    if not webbrowser.open(path.as_uri()):
        note("no browser to open; use -o PAGE.html")
    say(printable(path))
