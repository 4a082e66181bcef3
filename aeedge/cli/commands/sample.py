"""`aeedge sample`: new images from a variational model."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aeedge.cli.console import print_json, say
from aeedge.cli.options import device_option, force_option, json_option, threads_option
from aeedge.cli.outlet import Outlet
from aeedge.cli.outputs import require_suffix
from aeedge.figures import count, printable
from aeedge.sources import Source

if TYPE_CHECKING:
    from aeedge.applications.generation import Pixels
    from aeedge_runtime import Codec

PATH = click.Path(path_type=Path)

COUNTS = {"prior": 64, "interpolation": 10, "posterior": 15}
"""Images when nobody asks for another number."""


@click.command()
@click.argument("bundle")
@click.option("-o", "--output", metavar="GRID.png", type=PATH, required=True, help="The picture to write.")
@click.option(
    "-n",
    "--number",
    "number",
    type=click.IntRange(1, 10_000),
    help="Images.  [default: 64; on the way 10, taken for the same 15]",
)
@click.option("--seed", type=click.IntRange(min=0), help="Of the draws.  [default: 0]")
@click.option("--interpolate", nargs=2, metavar="A B", help="Images on the way from image A to image B.")
@click.option("--posterior", metavar="IMG", help="Images that the model takes for the same as IMG.")
@device_option
@threads_option
@force_option
@json_option
def sample(bundle: str, output: Path, as_json: bool, **options: Any) -> None:
    """Draw images from the variational model in BUNDLE into one picture.

    The same seed draws the same images. With --interpolate and --posterior the inputs come first and last.
    """
    if options["interpolate"] and options["posterior"]:
        raise click.UsageError("found --interpolate and --posterior, expected one of them")
    if options["interpolate"] and options["seed"] is not None:
        raise click.UsageError("found --interpolate and --seed, expected one of them: nothing is drawn on the way")
    seed = options["seed"] or 0
    inputs = [*(options["interpolate"] or ()), *([options["posterior"]] if options["posterior"] else [])]
    outlet = Outlet([Source(Path(name), Path(name)) for name in inputs], force=options["force"])
    require_suffix("-o", output, ".png")
    outlet.check(output)

    from aeedge.mosaic import mosaic
    from aeedge_runtime import Codec, Picture
    from aeedge_runtime.images.save import picture_bytes

    codec = Codec.load(bundle, device=options["device"], threads=options["threads"])
    kind = "interpolation" if options["interpolate"] else "posterior" if options["posterior"] else "prior"
    number = options["number"] or COUNTS[kind]
    images = _draw(codec, kind, inputs, number, seed)
    pixels = mosaic(images, len(images) if kind == "interpolation" else None, gap=2)
    data, _ = picture_bytes(Picture(pixels), ".png")
    outlet.write(output, data)
    if as_json:
        print_json({"command": "sample", "kind": kind, "images": number, "seed": seed, "output": str(output)})
    else:
        say(f"{printable(output)}: {count(number, 'image')} of the {kind}")


def _draw(codec: "Codec", kind: str, inputs: list[str], number: int, seed: int) -> "Pixels":
    import numpy as np

    from aeedge.applications.generation import interpolate, sample_posterior
    from aeedge.applications.generation import sample as sample_prior
    from aeedge_runtime import load_picture

    if kind == "prior":
        return sample_prior(codec, number, seed)
    if kind == "posterior":
        made = sample_posterior(codec, inputs[0], number, seed)
    else:
        made = interpolate(codec, inputs[0], inputs[1], number)
    shown = [load_picture(name, codec.bundle.manifest.image.channels).pixels[None] for name in inputs]
    return np.concatenate([shown[0], made, *shown[1:]])
