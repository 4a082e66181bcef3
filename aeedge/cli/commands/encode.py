"""`aeedge encode`: images to latents, as features for other programs."""

from pathlib import Path
from typing import Any

import click

from aeedge.cli.console import print_json, say
from aeedge.cli.options import device_option, force_option, json_option, threads_option
from aeedge.cli.outlet import Outlet
from aeedge.cli.outputs import require_suffix
from aeedge.cli.selection import Selection, data_options
from aeedge.extras import require_report
from aeedge.figures import count, printable
from aeedge_runtime.errors import ArgumentError

PATH = click.Path(path_type=Path)


@click.command()
@click.argument("bundle")
@click.argument("images", metavar="[IMG]...", nargs=-1)
@data_options
@click.option("-o", "--output", metavar="FILE.npz", type=PATH, required=True, help="Arrays latents, names, labels.")
@click.option("--pool", type=click.Choice(["none", "mean"]), default="none", show_default=True, help="Over positions.")
@click.option("--picture", metavar="FILE.png", type=PATH, help="Draw two principal components, coloured by class.")
@device_option
@threads_option
@force_option
@json_option
def encode(bundle: str, images: tuple[str, ...], output: Path, picture: Path | None, **options: Any) -> int:
    """Write the latents that the model in BUNDLE gives to images.

    numpy.load(FILE) gives latents float32 [N, c, h, w] ([N, c] with --pool mean), names [N] and labels [N].
    """
    selection = Selection(images, options)
    require_suffix("-o", output, ".npz")
    if picture:
        require_suffix("--picture", picture, ".png")
        if selection.most == 1:
            raise click.UsageError("--picture: found 1 image, expected at least 2, as a picture shows how they differ")
    outlet = Outlet(selection.sources, force=options["force"])
    for place in (output, picture):
        if place:
            outlet.check(place)

    from aeedge.applications.features import draw_features, encode_images
    from aeedge_runtime import Codec

    if picture:
        require_report(["matplotlib"], "the picture needs")

    codec = Codec.load(bundle, device=options["device"], threads=options["threads"])
    codec.bundle.require("encoder", "encode")
    try:
        features = encode_images(codec, selection.images(codec.bundle.manifest.image.channels), options["pool"])
    except ArgumentError:
        if selection.taken or not selection.failures:
            raise
        if options["as_json"]:
            nothing = {"shape": None, "output": None, "picture": None}
            print_json({"command": "encode", **nothing, "failures": selection.failures})
        return selection.exit_code  # none could be read, and each was named
    title = f"latents of {count(len(features.names), 'image')}, {codec.bundle.manifest.name}"
    drawn = draw_features(features, title) if picture else b""
    outlet.write(output, features.to_bytes())
    if picture:
        outlet.write(picture, drawn)
    shape = list(features.latents.shape)
    if options["as_json"]:
        places = {"output": str(output), "picture": str(picture) if picture else None}
        print_json({"command": "encode", "shape": shape, **places, "failures": selection.failures})
    else:
        say(f"{printable(output)}: latents float32 {shape}, names and labels of {count(len(features.names), 'image')}")
    return selection.exit_code
