"""`aeedge decompress`: streams back to images."""

import time
from dataclasses import dataclass
from typing import Any

import click

from aeedge.cli.batch.jobs import report, run_batch
from aeedge.cli.batch.outputs import OutputGuard, decompressed_name, plan
from aeedge.cli.options.shared import BatchOptions, codec_options
from aeedge.sources import STDIN, STREAM_SUFFIX, find_sources
from aeedge_runtime.remote import location


@dataclass(frozen=True, kw_only=True)
class DecompressOptions(BatchOptions):
    """Options of `aeedge decompress`.

    Attributes:
        files: streams, folders or `-`.
        output: file or folder for the images, or `-`; None for next to each stream.
        decoder: "full" or "lite".
        preview: write pictures at 1/8 of their rows and columns.
    """

    files: tuple[str, ...]
    output: str | None
    decoder: str
    preview: bool

    def __post_init__(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            click.UsageError: they do.
        """
        if self.as_json and self.to_stdout:
            raise click.UsageError(
                "--json cannot be combined with an image on stdout; write the image to a file with -o"
            )

    @property
    def to_stdout(self) -> bool:
        """Whether an image goes to standard output."""
        return self.output == STDIN or (self.files == (STDIN,) and self.output is None)


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="OUT", help="Output file (.png, .jpg, .webp ...) or folder, or - for stdout.")
@click.option(
    "--decoder",
    type=click.Choice(["full", "lite"]),
    default="full",
    show_default=True,
    help="Decoder to use: lite is faster and a little less exact.",
)
@click.option("--preview", is_flag=True, help="Write small pictures, 1/8 as wide and high, several times faster.")
@codec_options
def decompress(**values: Any) -> int:
    """Decompress .aee streams to images.

    FILE is a stream, a folder of them, the URL of either, or - for standard input. a.png.aee becomes a.png, a.jpg.aee
    becomes a.jpg.png, and a stream of several images becomes a folder.
    """
    options = DecompressOptions(**values)
    sources = find_sources(options.files, frozenset({STREAM_SUFFIX}))
    guard = OutputGuard(sources, force=options.force, skip_existing=options.skip_existing)
    tasks = plan(sources, options.output, decompressed_name)
    single = len(sources) == 1 and not sources[0].from_folder and options.output != STDIN

    from aeedge.cli.batch.decompressor import Decompressor

    folder = location(options.output) if single and options.output else None
    decompressor = Decompressor.load(guard, folder, options, len(sources), options.decoder, preview=options.preview)
    quiet = options.as_json or options.to_stdout
    start = time.monotonic()
    outcomes = run_batch(tasks, decompressor.decompress, quiet=quiet, jobs=decompressor.jobs, stop=decompressor.stop)
    seconds = time.monotonic() - start
    return report("decompress", decompressor.codec, outcomes, seconds, as_json=options.as_json, quiet=options.to_stdout)
