"""`aeedge compress`: images to streams, one each or many in one."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from aeedge.cli.batch import report, run_batch
from aeedge.cli.options import BatchOptions, Number, codec_options
from aeedge.cli.outputs import OutputGuard, compressed_name, is_folder, plan
from aeedge.figures import printable
from aeedge.sources import STDIN, find_sources
from aeedge_runtime.images.formats import IMAGE_SUFFIXES


@dataclass(frozen=True, kw_only=True)
class CompressOptions(BatchOptions):
    """Options of `aeedge compress`; at most one of quality, max_bytes, target_bpp and target_psnr is given.

    Attributes:
        images: files, folders or `-`.
        output: file or folder for the streams, or `-`; None for next to each image.
        pack: one stream for all images.
        quality: 1..100.
        max_bytes: size limit of a stream.
        target_bpp: the same in bits per pixel.
        target_psnr: PSNR in dB that has to be reached.
        verify: decode each stream, and read back what was written.
        all_frames: keep every frame of an animation or multi-page file.
        no_metadata: drop ICC profile and EXIF.
    """

    images: tuple[str, ...]
    output: str | None
    pack: str | None
    quality: int | None
    max_bytes: int | None
    target_bpp: float | None
    target_psnr: float | None
    verify: bool
    all_frames: bool
    no_metadata: bool

    def __post_init__(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            click.UsageError: they do.
        """
        if self.pack and self.pack.startswith("-") and self.pack != STDIN:
            raise click.UsageError(f"--pack: found {self.pack}, expected the name of the stream to write")
        if self.pack and is_folder(self.pack):
            raise click.UsageError(
                f"--pack {printable(self.pack)}: found a folder, expected the name of the stream to write"
            )
        if self.pack and (self.output or self.all_frames):
            raise click.UsageError("--pack cannot be combined with -o or --all-frames")
        if self.pack and self.jobs:
            raise click.UsageError("--pack cannot be combined with --jobs: images of one stream are read in turn")
        if self.as_json and self.to_stdout:
            raise click.UsageError(
                "--json cannot be combined with a stream on stdout; write the stream to a file with -o"
            )
        if len(self.rates) > 1:
            raise click.UsageError(f"{' and '.join(self.rates)} cannot be combined; use one of them")

    @property
    def to_stdout(self) -> bool:
        """Whether a stream goes to standard output."""
        return STDIN in (self.output, self.pack) or (self.images == (STDIN,) and not (self.output or self.pack))

    @property
    def rates(self) -> list[str]:
        """The flags given that decide the number of bytes."""
        given = {
            "--quality": self.quality,
            "--max-bytes": self.max_bytes,
            "--target-bpp": self.target_bpp,
            "--target-psnr": self.target_psnr,
        }
        return [flag for flag, value in given.items() if value is not None]


@click.command()
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="OUT", help="Output file, folder if there are several images, or - for stdout.")
@click.option(
    "--pack", metavar="OUT.aee", help="Write all images, which must have one size, to one stream with their names."
)
@click.option(
    "-q",
    "--quality",
    metavar="1..100",
    type=click.IntRange(1, 100),
    help="Quality, 1 (smallest) to 100 (best).  [default: 50]",
)
@click.option(
    "--max-bytes", metavar="N", type=click.IntRange(min=1), help="Use the highest quality that fits in N bytes."
)
@click.option(
    "--target-bpp",
    metavar="BPP",
    type=Number(min=0, min_open=True),
    help="Use the highest quality that fits in BPP bits per pixel.",
)
@click.option(
    "--target-psnr",
    metavar="DB",
    type=Number(min=0, min_open=True),
    help="Use the lowest quality that reaches a PSNR of DB decibels.",
)
@click.option("--verify", is_flag=True, help="Decode each stream and read the file back before reporting success.")
@click.option("--all-frames", is_flag=True, help="Keep every frame of an animation or multi-page file.")
@click.option("--no-metadata", is_flag=True, help="Drop the ICC profile and EXIF data.")
@codec_options
def compress(**values: Any) -> int:
    """Compress images to .aee streams.

    IMAGE is a file, a folder, or - for standard input. a.png becomes a.png.aee in the same folder, or in the folder
    that -o names; folders keep their structure.
    """
    options = CompressOptions(**values)
    sources = find_sources(options.images, IMAGE_SUFFIXES)
    guard = OutputGuard(sources, force=options.force, skip_existing=options.skip_existing)
    tasks = [] if options.pack else plan(sources, options.output, compressed_name)
    for path in [Path(options.pack)] if options.pack else [task.output for task in tasks if task.output]:
        guard.check_stream_name("--pack" if options.pack else "-o", path)

    from aeedge.cli.compressor import Compressor

    compressor = Compressor.load(guard, options, 1 if options.pack else len(sources))
    start = time.monotonic()
    if options.pack:
        outcomes, facts = compressor.pack(sources, options.pack, quiet=options.as_json)
    else:
        quiet = options.as_json or options.to_stdout
        outcomes = run_batch(tasks, compressor.compress, quiet=quiet, jobs=compressor.jobs, stop=compressor.stop)
        facts = {}
    seconds = time.monotonic() - start
    return report(
        "compress",
        compressor.codec,
        outcomes,
        seconds,
        as_json=options.as_json,
        quiet=options.to_stdout,
        packed=facts,
    )
