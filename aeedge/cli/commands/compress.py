"""`aeedge compress`: images to streams, one each or many in one."""

import time
from typing import Any

import click

from aeedge.cli.batch.jobs import report, run_batch
from aeedge.cli.batch.manifest import write_manifest
from aeedge.cli.batch.outputs import OutputGuard, compressed_name, plan
from aeedge.cli.options.parameters import QUALITY, VALUE_RANGE, Number, Whole
from aeedge.cli.options.shared import CompressOptions, codec_options
from aeedge.extras import RAY_MODULES, require_extra
from aeedge.sources import find_sources
from aeedge_runtime.images.formats import IMAGE_SUFFIXES
from aeedge_runtime.remote import location


@click.command()
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="OUT", help="Output file or folder, or - for stdout.")
@click.option(
    "--pack", metavar="OUT.aee", help="Write all images, of one size, to a single stream that keeps their names."
)
@click.option(
    "-q",
    "--quality",
    metavar="1..100",
    type=QUALITY,
    help="Quality, 1 (smallest) to 100 (best).  [default: 50]",
)
@click.option("--max-bytes", metavar="N", type=Whole(), help="Use the highest quality that fits in N bytes.")
@click.option(
    "--target-bpp",
    metavar="BPP",
    type=Number(),
    help="Use the highest quality that fits in BPP bits per pixel.",
)
@click.option(
    "--target-psnr",
    metavar="DB",
    type=Number(),
    help="Use the lowest quality that reaches a PSNR of DB decibels.",
)
@click.option(
    "--ratio",
    metavar="N",
    type=Number(1, or_equal=True),
    help="Use the highest quality that takes at most 1/N of the bytes of the 8-bit pixels.",
)
@click.option(
    "--max-error",
    metavar="E",
    type=click.IntRange(0, 255),
    help="Use the fewest bytes that keep every sample within E levels on any machine; 0 is lossless.",
)
@click.option("--verify", is_flag=True, help="Decode each stream and read the file back before reporting success.")
@click.option("--all-frames", is_flag=True, help="Keep every frame of an animation or multi-page file.")
@click.option("--no-stored-tiles", is_flag=True, help="Do not store any tiles losslessly, even text or drawings.")
@click.option(
    "--range",
    "value_range",
    metavar="LOW:HIGH",
    type=VALUE_RANGE,
    help="Numbers that become black and white, for float and 32-bit gray images.",
)
@click.option("--no-metadata", is_flag=True, help="Drop the ICC profile and EXIF data.")
@click.option(
    "--on",
    "cluster",
    metavar="ray[:ADDRESS]",
    help="Work on a Ray cluster, or on one started here; valid streams that exist are skipped.",
)
@click.option("--manifest", metavar="FILE", help="Write a row on each input to a .jsonl or .parquet file.")
@codec_options
def compress(**values: Any) -> int:
    """Compress images to .aee streams.

    IMAGE is a file, a folder, the URL of either, or - for standard input. a.png becomes a.png.aee in the same folder,
    or in the folder that -o names; folders keep their structure.
    """
    options = CompressOptions(**values)
    if options.cluster:
        require_extra("ray", RAY_MODULES, "--on ray needs")
    if options.manifest and options.manifest.endswith(".parquet"):
        require_extra("ray", ("pyarrow",), "a .parquet manifest needs")
    sources = find_sources(options.images, IMAGE_SUFFIXES)
    guard = OutputGuard(sources, force=options.force, skip_existing=options.skip_existing)
    tasks = [] if options.pack else plan(sources, options.output, compressed_name)
    for path in [location(options.pack)] if options.pack else [task.output for task in tasks if task.output]:
        guard.check_stream_name("--pack" if options.pack else "-o", path)

    from aeedge.cli.batch.compressor import Compressor

    compressor = Compressor.load(guard, options, 1 if options.pack else len(sources))
    start = time.monotonic()
    if options.pack:
        outcomes, facts = compressor.pack(sources, options.pack, quiet=options.as_json)
    elif options.cluster:
        from aeedge.cli.batch.cluster import compress_on_cluster

        outcomes, facts = compress_on_cluster(tasks, compressor, options), {}
    else:
        quiet = options.as_json or options.to_stdout
        outcomes = run_batch(tasks, compressor.compress, quiet=quiet, jobs=compressor.jobs, stop=compressor.stop)
        facts = {}
    seconds = time.monotonic() - start
    if options.manifest:
        write_manifest(location(options.manifest), outcomes)
    return report(
        "compress",
        compressor.codec,
        outcomes,
        seconds,
        as_json=options.as_json,
        quiet=options.to_stdout,
        packed=facts,
    )
