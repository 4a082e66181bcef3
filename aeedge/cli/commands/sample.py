"""`aeedge sample`: draws new images from a variational model."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aeedge.cli.batch.outputs import require_suffix
from aeedge.cli.console import print_json, say
from aeedge.cli.options.parameters import PATH, Whole
from aeedge.cli.options.shared import DeviceOptions, device_option, force_option, json_option, threads_option
from aeedge.cli.outlet import Outlet
from aeedge.figures import count, printable
from aeedge.sources import Source

if TYPE_CHECKING:
    from aeedge.applications.generation import Pixels
    from aeedge_runtime import Codec

COUNTS = {"prior": 64, "interpolation": 10, "posterior": 15}
"""Default numbers of images."""


@dataclass(frozen=True, kw_only=True)
class SampleOptions(DeviceOptions):
    """Options of `aeedge sample`.

    Attributes:
        bundle: folder, .aeb file or name.
        output: the .png file to write.
        count: number of images, or None.
        seed: random seed, or None.
        interpolate: two images to interpolate between, or None.
        posterior: image whose posterior to sample, or None.
        force: replace an existing file.
        as_json: print one JSON object.
    """

    bundle: str
    output: Path
    count: int | None
    seed: int | None
    interpolate: tuple[str, str] | None
    posterior: str | None
    force: bool
    as_json: bool

    def __post_init__(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            click.UsageError: they do.
        """
        if self.interpolate and self.posterior:
            raise click.UsageError("--interpolate cannot be combined with --posterior")
        if self.interpolate and self.seed is not None:
            raise click.UsageError("--interpolate cannot be combined with --seed: interpolation is not random")
        require_suffix("-o", self.output, ".png")

    @property
    def inputs(self) -> list[str]:
        """The images that are named."""
        return [*(self.interpolate or ()), *([self.posterior] if self.posterior else [])]

    @property
    def kind(self) -> str:
        """What to draw from: prior, interpolation or posterior."""
        return "interpolation" if self.interpolate else "posterior" if self.posterior else "prior"


@click.command()
@click.argument("bundle")
@click.option("-o", "--output", metavar="GRID.png", type=PATH, required=True, help="Image to write.")
@click.option(
    "-n",
    "--count",
    metavar="N",
    type=Whole(1, 10_000),
    help="Number of images.  [default: 64; with --interpolate 10, with --posterior 15]",
)
@click.option("--seed", metavar="N", type=Whole(0), help="Random seed.  [default: 0]")
@click.option("--interpolate", nargs=2, metavar="A B", help="Interpolate between the images A and B.")
@click.option("--posterior", metavar="IMAGE", help="Draw samples from the posterior of IMAGE.")
@device_option
@threads_option
@force_option
@json_option
def sample(**values: Any) -> None:
    """Draw images from the variational model in BUNDLE and write them as one grid.

    The same seed draws the same images. With --interpolate and --posterior, the inputs are shown first and last.
    """
    options = SampleOptions(**values)
    outlet = Outlet([Source(Path(name), Path(name)) for name in options.inputs], force=options.force)
    outlet.check(options.output)

    from aeedge.mosaic import mosaic
    from aeedge_runtime import Codec, Picture
    from aeedge_runtime.images.save import picture_bytes

    codec = Codec.load(options.bundle, device=options.device, threads=options.threads)
    number, seed = options.count or COUNTS[options.kind], options.seed or 0
    images = _draw(codec, options, number, seed)
    pixels = mosaic(images, len(images) if options.interpolate else None, gap=2)
    data, _ = picture_bytes(Picture(pixels), ".png")
    outlet.write(options.output, data)
    if options.as_json:
        facts = {"kind": options.kind, "images": number, "seed": seed, "output": str(options.output)}
        print_json({"command": "sample", **facts})
    else:
        say(f"{printable(options.output)}: {count(number, 'image')} of the {options.kind}")


def _draw(codec: "Codec", options: SampleOptions, number: int, seed: int) -> "Pixels":
    import numpy as np

    from aeedge.applications.generation import interpolate, sample_posterior
    from aeedge.applications.generation import sample as sample_prior
    from aeedge_runtime import load_picture

    if options.posterior:
        made = sample_posterior(codec, options.posterior, number, seed)
    elif options.interpolate:
        made = interpolate(codec, *options.interpolate, number)
    else:
        return sample_prior(codec, number, seed)
    shown = [load_picture(name, codec.bundle.manifest.image.channels).pixels[None] for name in options.inputs]
    return np.concatenate([shown[0], made, *shown[1:]])
