"""`aeedge reconstruct`: runs images through the networks without compression; a model trained for it cleans them."""

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from aeedge.cli.batch.jobs import Result, report, run_batch
from aeedge.cli.batch.outputs import Job, OutputGuard, decompressed_name, plan
from aeedge.cli.options.shared import (
    DeviceOptions,
    device_option,
    force_option,
    json_option,
    skip_option,
    threads_option,
)
from aeedge.sources import STDIN, find_sources
from aeedge_runtime.images.formats import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from aeedge_runtime import Codec

GAP = 4
"""White columns between the two halves of a side-by-side image."""


@dataclass(frozen=True, kw_only=True)
class ReconstructOptions(DeviceOptions):
    """Options of `aeedge reconstruct`.

    Attributes:
        bundle: folder, .aeb file or name.
        images: files and folders.
        output: file for one image, else a folder.
        side_by_side: write the input next to the result.
        force: replace existing files.
        skip_existing: leave existing files alone.
        as_json: print one JSON object.
    """

    bundle: str
    images: tuple[str, ...]
    output: str
    side_by_side: bool
    force: bool
    skip_existing: bool
    as_json: bool

    def __post_init__(self) -> None:
        """Refuse standard output.

        Raises:
            click.UsageError: it was named.
        """
        if self.output == STDIN:
            raise click.UsageError("-o needs the name of a file or folder")


@click.command()
@click.argument("bundle")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option(
    "-o", "--output", metavar="OUT", required=True, help="Output file, or folder if there are several images."
)
@click.option("--side-by-side", is_flag=True, help="Write the input and the result side by side.")
@device_option
@threads_option
@force_option
@skip_option
@json_option
def reconstruct(**values: Any) -> int:
    """Run images, or folders of images, through the model in BUNDLE without compressing them.

    A model that was trained with --corrupt removes such damage; any other shows how much of an image it preserves.
    """
    options = ReconstructOptions(**values)
    sources = find_sources(options.images, IMAGE_SUFFIXES)
    guard = OutputGuard(sources, force=options.force, skip_existing=options.skip_existing)
    jobs = plan(sources, options.output, decompressed_name)

    from aeedge_runtime import Codec

    codec = Codec.load(options.bundle, device=options.device, threads=options.threads)
    for half in ("encoder", "decoder"):
        codec.bundle.require(half, "reconstruct")
    start = time.monotonic()
    outcomes = run_batch(
        jobs, lambda job: _reconstruct(codec, job, guard, pair=options.side_by_side), quiet=options.as_json
    )
    seconds = time.monotonic() - start
    return report("reconstruct", codec, outcomes, seconds, as_json=options.as_json, quiet=False)


def _reconstruct(codec: "Codec", job: Job, guard: OutputGuard, *, pair: bool) -> Result | None:
    import numpy as np

    from aeedge.applications.reconstruction import reconstruct_picture
    from aeedge.mosaic import mosaic
    from aeedge_runtime import Picture, save_picture
    from aeedge_runtime.images.psnr import psnr_db

    if job.output is None or not guard.wants(job.output):
        return None
    seen, made = reconstruct_picture(codec, job.source.read())
    difference_db = psnr_db(seen.pixels, made.pixels)
    picture = made
    if pair:
        pixels = mosaic(np.stack([seen.pixels, made.pixels]), 2, gap=GAP)
        picture = Picture(pixels, gray=made.gray, icc=made.icc)
    job.output.parent.mkdir(parents=True, exist_ok=True)
    save_picture(picture, job.output, overwrite=guard.force)
    height, width, _ = made.pixels.shape
    same = difference_db == float("inf")
    line = f"{width}x{height}, {'equal to' if same else f'{difference_db:.2f} dB from'} the input"
    facts = {"width": width, "height": height, "psnr_db": None if same else difference_db}
    return Result(os.fspath(job.output), line, facts)
