"""`aeedge encode`: writes the latents of images, as features for other programs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click

from aeedge.cli.batch.outputs import require_suffix
from aeedge.cli.console import print_json, say
from aeedge.cli.options.parameters import PATH
from aeedge.cli.options.selection import Selection, SelectionOptions, data_options
from aeedge.cli.options.shared import device_option, force_option, json_option, threads_option
from aeedge.cli.outlet import Outlet
from aeedge.extras import require_extra
from aeedge.figures import count, printable
from aeedge_runtime.errors import ArgumentError


@dataclass(frozen=True, kw_only=True)
class EncodeOptions(SelectionOptions):
    """Options of `aeedge encode`.

    Attributes:
        output: the .npz file to write.
        pool: mean of the latents over their positions, or none.
        picture: the .png file to draw.
    """

    output: Path
    pool: Literal["none", "mean"]
    picture: Path | None

    def __post_init__(self) -> None:
        """Refuse options that contradict each other, and names with another suffix.

        Raises:
            click.UsageError: there are any.
        """
        super().__post_init__()
        require_suffix("-o", self.output, ".npz")
        if self.picture:
            require_suffix("--picture", self.picture, ".png")


@click.command()
@click.argument("bundle")
@click.argument("images", metavar="[IMAGE]...", nargs=-1)
@data_options
@click.option(
    "-o", "--output", metavar="FILE.npz", type=PATH, required=True, help="File for latents, names and labels."
)
@click.option(
    "--pool",
    type=click.Choice(["none", "mean"]),
    default="none",
    show_default=True,
    help="Average the latents of an image over their positions.",
)
@click.option("--picture", metavar="FILE.png", type=PATH, help="Draw two principal components, colored by class.")
@device_option
@threads_option
@force_option
@json_option
def encode(**values: Any) -> int:
    """Write the latents that the model in BUNDLE computes for images.

    FILE.npz holds latents float32 [N, c, h, w] ([N, c] with --pool mean), names [N] and labels [N].
    """
    options = EncodeOptions(**values)
    selection = Selection(options)
    outlet = _checked_outlet(options, selection)

    from aeedge.applications.features import draw_features, encode_images
    from aeedge_runtime import Codec

    codec = Codec.load(options.bundle, device=options.device, threads=options.threads)
    codec.bundle.require("encoder", "encode")
    try:
        features = encode_images(codec, selection.images(codec.bundle.manifest.image.channels), options.pool)
    except ArgumentError:
        if selection.taken or not selection.failures:
            raise
        if options.as_json:
            nothing = {"shape": None, "output": None, "picture": None}
            print_json({"command": "encode", **nothing, "failures": selection.failures})
        return selection.exit_code  # none could be read, and each was reported
    images = count(len(features.names), "image")
    if options.picture:
        drawn = draw_features(features, f"latents of {images}, {codec.bundle.manifest.name}")
    outlet.write(options.output, features.to_bytes())
    if options.picture:
        outlet.write(options.picture, drawn)
    shape = list(features.latents.shape)
    if options.as_json:
        files = {"output": str(options.output), "picture": str(options.picture) if options.picture else None}
        print_json({"command": "encode", "shape": shape, **files, "failures": selection.failures})
    else:
        say(f"{printable(options.output)}: latents float32 {shape}, names and labels of {images}")
    return selection.exit_code


def _checked_outlet(options: EncodeOptions, selection: Selection) -> Outlet:
    """Return what writes the outputs, after all checks that need no model."""
    if options.picture and selection.most == 1:
        raise click.UsageError("--picture: found 1 image, expected at least 2: the plot shows how they differ")
    outlet = Outlet(selection.sources, force=options.force)
    for path in (options.output, options.picture):
        if path:
            outlet.check(path)
    if options.picture:
        require_extra("report", ["matplotlib"], "the plot needs")
    return outlet
