"""`aeedge demo`: shows the main job in about a minute."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aeedge.cli.console import note, print_json, say
from aeedge.cli.options.parameters import PATH, QUALITY
from aeedge.cli.options.shared import force_option, json_option
from aeedge.figures import count, printable, table
from aeedge.training.openmp import wait_briefly
from aeedge_runtime.errors import AeedgeError
from aeedge_runtime.files import require_writable

if TYPE_CHECKING:
    from aeedge.cli.comparison import Measured
    from aeedge.cli.demo import Demonstration


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """Options of `aeedge demo`.

    Attributes:
        output: folder for everything that is made.
        data_dir: folder with MNIST's files; None for drawn digits.
        quality: 1..100.
        force: replace what is in the folder.
        as_json: print one JSON object.
    """

    output: Path
    data_dir: Path | None
    quality: int
    force: bool
    as_json: bool


@click.command()
@click.option(
    "-o", "--output", metavar="DIR", type=PATH, default="aeedge-demo", show_default=True, help="Output folder."
)
@click.option("--data-dir", metavar="DIR", type=PATH, help="Folder with MNIST.  [default: synthetic digits]")
@click.option("--quality", metavar="1..100", type=QUALITY, default=50, show_default=True, help="Quality of the stream.")
@force_option
@json_option
def demo(**values: Any) -> None:
    """Train a small network, export it, compress 1,000 images with it and compare the result with classic codecs.

    Takes about a minute on two cores and needs no network connection.
    """
    options = DemoOptions(**values)
    folder = options.output
    if folder.is_dir() and any(folder.iterdir()) and not options.force:
        raise AeedgeError(f"{printable(folder)} exists; --force replaces what is in it, -o names another folder")
    require_writable(folder / "run")

    wait_briefly()
    from aeedge.cli.demo import demonstrate

    result = demonstrate(folder, options.data_dir, options.quality, note)
    if options.as_json:
        print_json({"command": "demo", **_facts(result)})
    else:
        _show(result)


def _show(result: "Demonstration") -> None:
    rows = [(row.name, f"{row.image_bytes:.1f}", _decibels(row), *_times(row)) for row in result.rows]
    images = len(result.rows[0].decoded)
    say(f"{count(images, 'image')} of 28x28 ({result.data}) in {result.stream_bytes:,} bytes, {result.seconds:.0f} s")
    say(f"\n{table(('', 'bytes', 'PSNR', 'to bytes', 'to image'), rows, words=1)}\n")
    say("mean of an image; PSNR over all pixels; JPEG and WebP at their lowest quality that is as good")
    for title, place in vars(result.places).items():
        say(f"{title:9}{printable(place)}")
    say(f"next     aeedge info {printable(result.places.stream)}")


def _decibels(row: "Measured") -> str:
    return "lossless" if row.psnr_db == float("inf") else f"{row.psnr_db:.2f} dB"


def _times(row: "Measured") -> tuple[str, str]:
    return f"{row.encode_ms:.3f} ms", f"{row.decode_ms:.3f} ms"


def _facts(result: "Demonstration") -> dict[str, Any]:
    rows = [
        {
            "name": row.name,
            "image_bytes": row.image_bytes,
            "psnr_db": None if row.psnr_db == float("inf") else row.psnr_db,
            "encode_ms": row.encode_ms,
            "decode_ms": row.decode_ms,
        }
        for row in result.rows
    ]
    places = {title: str(place) for title, place in vars(result.places).items()}
    return {"data": result.data, "seconds": result.seconds, "results": rows, "places": places}
