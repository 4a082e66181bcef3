"""`aeedge decompress`: streams back to images."""

import time
from pathlib import Path
from typing import Any

import click

from aeedge.cli.batch import report, run_batch
from aeedge.cli.options import codec_options
from aeedge.cli.outputs import OutputGuard, plan, restored_name
from aeedge.sources import STDIN, STREAM_SUFFIX, find_sources


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="OUT", help="A file (.png, .jpg, .webp) or a folder; - is stdout.")
@codec_options
def decompress(files: tuple[str, ...], output: str | None, as_json: bool, **options: Any) -> int:
    """Restore the images of .aee streams, folders of them, or standard input (-).

    a.png.aee becomes a.png, a.jpg.aee becomes a.jpg.png; a packed stream becomes a folder.
    """
    to_stdout = output == STDIN or (files == (STDIN,) and output is None)
    if as_json and to_stdout:
        raise click.UsageError("found --json and an image for stdout, expected one of them; name a file with -o")
    sources = find_sources(files, frozenset({STREAM_SUFFIX}))
    guard = OutputGuard(sources, force=options["force"], skip_existing=options["skip_existing"])
    tasks = plan(sources, output, restored_name)
    single = len(sources) == 1 and not sources[0].from_folder and output not in (None, STDIN)

    from aeedge.cli.decompressor import Restorer

    restorer = Restorer.load(guard, Path(output) if single and output else None, options, len(sources))
    start = time.monotonic()
    outcomes = run_batch(tasks, restorer.restore, quiet=as_json or to_stdout, jobs=restorer.jobs)
    seconds = time.monotonic() - start
    return report("decompress", restorer.codec, outcomes, seconds, as_json=as_json, quiet=to_stdout)
