"""`aeedge eval`: compares a bundle with the classic codecs, with a report and a verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aeedge.cli.console import note, print_json, say, warn
from aeedge.cli.options.parameters import PATH, PSNR_RANGE, QUALITIES, Whole
from aeedge.cli.options.shared import DeviceOptions, device_option, force_option, json_option, threads_option
from aeedge.cli.outlet import Outlet
from aeedge.cli.progress import Progress
from aeedge.extras import require_extra
from aeedge.figures import count, printable
from aeedge_runtime.errors import AeedgeError
from aeedge_runtime.files import require_writable

if TYPE_CHECKING:
    from aeedge.evaluation.evaluate import Evaluation

DEFAULT_QUALITIES = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
SMALL_LIMIT = 1000
FILES = ("report.html", "summary.json", "results.csv")
NEEDED = ("scipy", "bjontegaard")


@dataclass(frozen=True, kw_only=True)
class EvalOptions(DeviceOptions):
    """Options of `aeedge eval`.

    Attributes:
        bundle: folder, .aeb file or name.
        data: folder of images, MNIST's folder, or an .npz file; also at a URL.
        output: folder for the report.
        limit: largest number of images, or None.
        qualities: qualities of the bundle, or None.
        against: classic codecs, separated by commas; None for all that are available.
        psnr_range: range of the BD-rate in dB, or None.
        no_ms_ssim: leave out MS-SSIM.
        no_ssimulacra2: leave out SSIMULACRA2.
        examples: number of images to show.
        jobs: images at once.
        force: replace existing files.
        as_json: print one JSON object.
    """

    bundle: str
    data: str
    output: Path
    limit: int | None
    qualities: tuple[int, ...] | None
    against: str | None
    psnr_range: tuple[float, float] | None
    no_ms_ssim: bool
    no_ssimulacra2: bool
    examples: int
    jobs: int
    force: bool
    as_json: bool


@click.command("eval")
@click.argument("bundle", metavar="BUNDLE")
@click.option(
    "--data",
    metavar="PATH|URL",
    required=True,
    help="Folder of images, folder with MNIST's files, or an .npz file.",
)
@click.option(
    "-o", "--output", metavar="DIR", type=PATH, default="evaluation", show_default=True, help="Folder for the report."
)
@click.option("--limit", metavar="N", type=Whole(), help="Use at most N images, spread evenly over all.")
@click.option("--qualities", metavar="Q,Q,...", type=QUALITIES, help="Qualities of BUNDLE.  [default: 1,10,20,...,100]")
@click.option(
    "--against",
    metavar="NAME,...",
    help="Codecs to compare with: jpeg, webp4, webp6, avif6, avif9, jxl.  [default: all available]",
)
@click.option(
    "--psnr-range",
    metavar="LOW:HIGH",
    type=PSNR_RANGE,
    help="Range of the BD-rate.  [default: 28.5:36 dB, or what all curves share]",
)
@click.option("--no-ms-ssim", is_flag=True, help="Skip MS-SSIM, which is slow to compute.")
@click.option("--no-ssimulacra2", is_flag=True, help="Skip SSIMULACRA2, which takes most of the time.")
@click.option(
    "--examples",
    metavar="N",
    type=Whole(0, 50),
    default=4,
    show_default=True,
    help="Images to show in the report.",
)
@click.option("--jobs", metavar="N", type=Whole(), default=1, show_default=True, help="Images to process at once.")
@device_option
@threads_option
@force_option
@json_option
def evaluate(**values: Any) -> int:
    """Compare BUNDLE with JPEG, WebP, AVIF and JPEG XL on the same images, and say which codec to use.

    Writes report.html, summary.json and results.csv. Small images of one size, such as 28x28, are compared as a set.
    """
    options = EvalOptions(**values)
    require_extra("report", NEEDED, "the evaluation needs")
    _check_output(options.output, options.force)
    evaluation, report = _run(options)

    from aeedge.evaluation.results import to_csv, to_json, to_summary
    from aeedge.evaluation.verdict import verdict

    outlet = Outlet((), force=options.force)
    for name, content in zip(FILES, (report, to_json(evaluation), to_csv(evaluation)), strict=True):
        outlet.write(options.output / name, content)
    if options.as_json:
        files = {name.partition(".")[0]: str(options.output / name) for name in FILES}
        print_json({"command": "eval", **to_summary(evaluation), "files": files})
    else:
        for sentence in verdict(evaluation):
            say(f"{sentence.kind:5} {sentence.text}")
        say(f"report {printable(options.output / FILES[0])}")
    return 1 if evaluation.data["left_out"] else 0


def _run(options: EvalOptions) -> "tuple[Evaluation, bytes]":
    from aeedge.classic import choose_classics
    from aeedge.evaluation.data import is_small_set, open_images
    from aeedge.evaluation.evaluate import evaluate_images, evaluate_set
    from aeedge.evaluation.measure import Plan
    from aeedge.evaluation.report.examples import choose_examples
    from aeedge.evaluation.report.page import to_html
    from aeedge.figures import spread
    from aeedge.reading import ReadingReport
    from aeedge_runtime import Codec
    from aeedge_runtime.inference.processors import default_threads
    from aeedge_runtime.remote import location

    classics = choose_classics(options.against.split(",") if options.against else None)
    codec = Codec.load(options.bundle, device=options.device, threads=options.threads)
    for half in ("encoder", "decoder"):
        codec.bundle.require(half, "evaluate")
    report = ReadingReport()
    images = open_images(location(options.data), codec.bundle.manifest.image.channels, options.limit, report)
    threads = options.threads or default_threads()
    plan = Plan(
        options.qualities or DEFAULT_QUALITIES,
        classics,
        threads,
        ms_ssim=not options.no_ms_ssim,
        ssimulacra2=_is_scored(options),
    )
    place, span = printable(options.data), options.psnr_range
    small = is_small_set(images)
    if small and options.limit is None:
        images = [images[index] for index in spread(len(images), SMALL_LIMIT)]
    note(f"{count(len(images), 'image')}, {len(plan.qualities)} qualities, against {_names(classics)}")
    if small and options.jobs > 1:
        warn("--jobs has no effect: small images are measured as a set")
    with Progress() as shown:
        if small:
            evaluation = evaluate_set(codec, images, plan, span=span, place=place, progress=shown.report)
        else:
            jobs = options.jobs
            evaluation = evaluate_images(codec, images, plan, span=span, jobs=jobs, place=place, progress=shown.report)
    evaluation = replace(evaluation, data={**evaluation.data, "left_out": list(report.failures.values())})
    example = next((classic for classic in classics if classic.key.startswith("webp")), classics[0])
    examples = choose_examples(codec, images, evaluation, example, options.examples)
    return evaluation, to_html(evaluation, examples)


def _is_scored(options: EvalOptions) -> bool:
    """Return whether to measure SSIMULACRA2, which an optional package computes."""
    from aeedge.evaluation.ssimulacra import is_installed

    if options.no_ssimulacra2:
        return False
    if not is_installed():
        note("SSIMULACRA2 is left out: pip install ssimulacra2 adds it")
    return is_installed()


def _names(classics: Sequence[Any]) -> str:
    return ", ".join(classic.title for classic in classics)


def _check_output(folder: Path, force: bool) -> None:
    existing = [name for name in FILES if (folder / name).exists()]
    if existing and not force:
        raise AeedgeError(f"{printable(folder / existing[0])} exists; --force replaces it, -o names another folder")
    require_writable(folder / FILES[0])


eval = evaluate  # noqa: A001  the command line looks for the command's own name
