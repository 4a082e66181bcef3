"""`aeedge compress`: images to streams, one each or many in one."""

import time
from pathlib import Path
from typing import Any

import click

from aeedge.cli.batch import report, run_batch
from aeedge.cli.options import Number, codec_options
from aeedge.cli.outputs import OutputGuard, compressed_name, is_folder, plan
from aeedge.figures import printable
from aeedge.sources import STDIN, find_sources
from aeedge_runtime.images.formats import IMAGE_SUFFIXES

RATES = ("quality", "max_bytes", "target_bpp", "target_psnr")
"""Options that decide the number of bytes; at most one is given."""


@click.command()
@click.argument("images", metavar="IMG...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="OUT", help="A file for one image, else a folder; - is stdout.")
@click.option("--pack", metavar="OUT.aee", help="Put all images, of one size, into one stream; names are kept.")
@click.option(
    "-q",
    "--quality",
    metavar="1..100",
    type=click.IntRange(1, 100),
    default=None,
    help="Fewest bytes to best picture.  [default: 50]",
)
@click.option(
    "--max-bytes",
    metavar="N",
    type=click.IntRange(min=1),
    help="Best quality of which a whole stream has at most N bytes.",
)
@click.option(
    "--target-bpp",
    metavar="R",
    type=Number(min=0, min_open=True),
    help="The same, as bits per pixel, header included.",
)
@click.option(
    "--target-psnr",
    metavar="DB",
    type=Number(min=0, min_open=True),
    help="Lowest quality that reaches this PSNR.",
)
@click.option("--verify", is_flag=True, help="Decode and read back what was written before reporting success.")
@click.option("--all-frames", is_flag=True, help="Keep every frame of an animation or multi-page file.")
@click.option("--no-metadata", is_flag=True, help="Drop the ICC profile and EXIF.")
@codec_options
def compress(images: tuple[str, ...], output: str | None, pack: str | None, as_json: bool, **options: Any) -> int:
    """Compress images, folders of images, or standard input (-).

    IMG becomes IMG.aee beside it or in the folder OUT; a folder keeps its structure.
    """
    if pack and pack.startswith("-") and pack != STDIN:
        raise click.UsageError(f"--pack: found {pack}, expected the name of the stream to write")
    if pack and is_folder(pack):
        raise click.UsageError(f"--pack {printable(pack)}: found a folder, expected the name of the stream to write")
    if pack and (output or options["all_frames"]):
        raise click.UsageError("found --pack with -o or --all-frames, expected --pack alone")
    if pack and options["jobs"]:
        raise click.UsageError("found --pack with --jobs, expected one of them: images of one stream are read in turn")
    to_stdout = STDIN in (output, pack) or (images == (STDIN,) and not (output or pack))
    if as_json and to_stdout:
        raise click.UsageError("found --json and a stream for stdout, expected one of them; name a file with -o")
    rates = [name for name in RATES if options[name] is not None]
    if len(rates) > 1:
        flags = " and ".join(f"--{name.replace('_', '-')}" for name in rates)
        raise click.UsageError(f"found {flags}, expected at most one of them")
    sources = find_sources(images, IMAGE_SUFFIXES)
    guard = OutputGuard(sources, force=options["force"], skip_existing=options["skip_existing"])
    tasks = [] if pack else plan(sources, output, compressed_name)
    for place in [Path(pack)] if pack else [task.output for task in tasks if task.output]:
        guard.check_stream_name("--pack" if pack else "-o", place)

    from aeedge.cli.compressor import Compressor

    compressor = Compressor.load(guard, options, 1 if pack else len(sources))
    start = time.monotonic()
    if pack:
        outcomes, facts = compressor.pack(sources, pack, quiet=as_json)
    else:
        facts = {}
        outcomes = run_batch(tasks, compressor.compress, quiet=as_json or to_stdout, jobs=compressor.jobs)
    seconds = time.monotonic() - start
    return report("compress", compressor.codec, outcomes, seconds, as_json=as_json, quiet=to_stdout, packed=facts)
