"""`aeedge eval`: a bundle against the classic codecs, with a report and a verdict."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aeedge.console import count, note, print_json, printable, say, warn
from aeedge.failures import require_report
from aeedge.options import device_option, force_option, json_option, threads_option
from aeedge.outputs import require_place
from aeedge_runtime.errors import AeedgeError

if TYPE_CHECKING:
    from aeedge.evaluation.evaluate import Evaluation

QUALITIES = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
SMALL_LIMIT = 1000
FILES = ("report.html", "summary.json", "results.csv")
NEEDED = ("scipy", "bjontegaard")


class Numbers(click.ParamType):  # type: ignore[type-arg]
    """Qualities with commas between them."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Return the numbers in ascending order, each once."""
        try:
            found = sorted({int(word) for word in value.split(",")})
        except ValueError:
            found = []
        if len(found) < 2 or not 1 <= found[0] <= found[-1] <= 100:
            self.fail(f"found {value}, expected at least two qualities in 1..100, as 10,30,50,70", param, ctx)
        return tuple(found)


class Span(click.ParamType):  # type: ignore[type-arg]
    """A range of PSNR, as 28.5:36."""

    name = "range"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        """Return both ends in dB."""
        low, _, high = value.partition(":")
        try:
            found = float(low), float(high)
        except ValueError:
            found = (0.0, 0.0)
        if not 0 < found[0] < found[1] < 100:
            self.fail(f"found {value}, expected LOW:HIGH in dB, as 28.5:36", param, ctx)
        return found


@click.command("eval")
@click.argument("bundle", metavar="BUNDLE")
@click.option("--data", metavar="D", required=True, help="A folder of images, MNIST's folder, or an .npz.")
@click.option("-o", "--output", metavar="DIR", default="evaluation", show_default=True, help="Where the report goes.")
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="At most N images, spread over all.")
@click.option("--qualities", metavar="Q,Q,...", type=Numbers(), help="Of the bundle.  [default: 1,10,20,...,100]")
@click.option("--against", metavar="C,C,...", help="jpeg, webp4, webp6, avif6, avif9, jxl.  [default: all there are]")
@click.option("--psnr-range", "span", metavar="LOW:HIGH", type=Span(), help="Of the BD-rate.  [default: 28.5:36 dB]")
@click.option("--no-ms-ssim", is_flag=True, help="Leave out MS-SSIM, which takes time.")
@click.option("--no-ssimulacra2", is_flag=True, help="Leave out SSIMULACRA2, which takes most of the time.")
@click.option("--examples", metavar="N", type=click.IntRange(0, 50), default=4, show_default=True, help="Pictures.")
@click.option("--jobs", metavar="N", type=click.IntRange(min=1), default=1, show_default=True, help="Images at once.")
@device_option
@threads_option
@force_option
@json_option
def evaluate(bundle: str, data: str, output: str, force: bool, as_json: bool, **options: Any) -> None:
    """Measure a bundle against JPEG, WebP, AVIF (and JPEG XL) on the same images, and say which one to use.

    Writes report.html, summary.json and results.csv. Small images of one size (28x28, 32x32) are judged as a set.
    """
    require_report(NEEDED, "the evaluation needs")
    folder = _check_output(Path(output), force)
    evaluation, report = _run(bundle, Path(data), options)

    from aeedge.evaluation.results import to_csv, to_json, to_summary
    from aeedge.evaluation.verdict import verdict
    from aeedge_runtime.files import atomic_write

    folder.mkdir(parents=True, exist_ok=True)
    for name, content in zip(FILES, (report, to_json(evaluation), to_csv(evaluation)), strict=True):
        atomic_write(folder / name, content, overwrite=force)
    if as_json:
        files = {name.partition(".")[0]: str(folder / name) for name in FILES}
        print_json({"command": "eval", **to_summary(evaluation), "files": files})
        return
    for sentence in verdict(evaluation):
        say(f"{sentence.kind:5} {sentence.text}")
    say(f"report {printable(folder / FILES[0])}")


def _run(bundle: str, data: Path, options: dict[str, Any]) -> "tuple[Evaluation, bytes]":
    from aeedge.evaluation.classic import choose_classics
    from aeedge.evaluation.data import is_small_set, open_images, spread
    from aeedge.evaluation.evaluate import evaluate_images, evaluate_set
    from aeedge.evaluation.examples import choose_examples
    from aeedge.evaluation.measure import Plan
    from aeedge.evaluation.page import to_html
    from aeedge.evaluation.ssimulacra import is_installed
    from aeedge_runtime import Codec
    from aeedge_runtime.backend import default_threads

    classics = choose_classics(options["against"].split(",") if options["against"] else None)
    codec = Codec.load(bundle, device=options["device"], threads=options["threads"])
    for half in ("encoder", "decoder"):
        codec.bundle.require(half, "evaluate")
    images = open_images(data, codec.bundle.manifest.image.channels, options["limit"])
    threads = options["threads"] or default_threads()
    scored = not options["no_ssimulacra2"] and is_installed()
    if not scored and not options["no_ssimulacra2"]:
        note("SSIMULACRA2 is left out: pip install ssimulacra2 adds it")
    similar = not options["no_ms_ssim"]
    plan = Plan(options["qualities"] or QUALITIES, classics, threads, ms_ssim=similar, ssimulacra2=scored)
    place, span = printable(data), options["span"]
    small = is_small_set(images)
    if small and options["limit"] is None:
        images = [images[index] for index in spread(len(images), SMALL_LIMIT)]
    note(f"{count(len(images), 'image')}, {len(plan.qualities)} qualities, against {_names(classics)}")
    if small and options["jobs"] > 1:
        warn("--jobs: small images are measured as a set, all at once; left aside")
    if small:
        evaluation = evaluate_set(codec, images, plan, span=span, place=place)
    else:
        evaluation = evaluate_images(codec, images, plan, span=span, jobs=options["jobs"], place=place)
    shown = next((classic for classic in classics if classic.key.startswith("webp")), classics[0])
    examples = choose_examples(codec, images, evaluation, shown, options["examples"])
    return evaluation, to_html(evaluation, examples)


def _names(classics: Sequence[Any]) -> str:
    return ", ".join(classic.title for classic in classics)


def _check_output(folder: Path, force: bool) -> Path:
    existing = [name for name in FILES if (folder / name).exists()]
    if existing and not force:
        raise AeedgeError(f"{printable(folder / existing[0])} exists; --force replaces it, -o names another folder")
    require_place(folder / FILES[0])
    return folder


eval = evaluate  # noqa: A001  the command line looks for the command's own name
