"""`aeedge reconstruct`: images through the networks, without compression; a model trained for it cleans them."""

import os
import time
from typing import TYPE_CHECKING, Any

import click

from aeedge.cli.batch import Result, report, run_batch
from aeedge.cli.options import device_option, force_option, json_option, skip_option, threads_option
from aeedge.cli.outputs import Job, OutputGuard, decompressed_name, plan
from aeedge.sources import STDIN, find_sources
from aeedge_runtime.images.formats import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from aeedge_runtime import Codec

GAP = 4
"""White columns between the two halves of a side-by-side image."""


@click.command()
@click.argument("bundle")
@click.argument("images", metavar="IMG...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="OUT", required=True, help="A file for one image, else a folder.")
@click.option("--side-by-side", is_flag=True, help="Write the input and, right of it, the result.")
@device_option
@threads_option
@force_option
@skip_option
@json_option
def reconstruct(bundle: str, images: tuple[str, ...], output: str, as_json: bool, **options: Any) -> int:
    """Write what the model in BUNDLE makes of images, or of folders of them.

    A model that was trained with --corrupt removes such damage; any other shows what it can hold of an image.
    """
    if output == STDIN:
        raise click.UsageError("found -o -, expected a file or a folder")
    sources = find_sources(images, IMAGE_SUFFIXES)
    guard = OutputGuard(sources, force=options["force"], skip_existing=options["skip_existing"])
    jobs = plan(sources, output, decompressed_name)

    from aeedge_runtime import Codec

    codec = Codec.load(bundle, device=options["device"], threads=options["threads"])
    for half in ("encoder", "decoder"):
        codec.bundle.require(half, "reconstruct")
    start = time.monotonic()
    outcomes = run_batch(jobs, lambda job: _reconstruct(codec, job, guard, pair=options["side_by_side"]), quiet=as_json)
    return report("reconstruct", codec, outcomes, time.monotonic() - start, as_json=as_json, quiet=False)


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
