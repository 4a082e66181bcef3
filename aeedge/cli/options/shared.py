"""Options that several commands share: how each is spelled, and the typed values that a command gets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from aeedge.cli.batch.outputs import is_folder
from aeedge.cli.options.parameters import Whole
from aeedge.figures import printable
from aeedge.sources import STDIN

MANIFEST_SUFFIXES = (".jsonl", ".parquet")

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class DeviceOptions:
    """Device and threads of the networks.

    Attributes:
        device: name of the device.
        threads: threads of the networks; None for one per core.
    """

    device: str
    threads: int | None


@dataclass(frozen=True, kw_only=True)
class BatchOptions(DeviceOptions):
    """Options of every command that runs a codec on files.

    Attributes:
        model: bundle to use; None for the default one.
        jobs: inputs at once; None for one per core.
        force: replace existing outputs.
        skip_existing: leave existing outputs alone.
        max_pixels: largest input; None for the codec's own limit.
        as_json: print one JSON object.
    """

    model: str | None
    jobs: int | None
    force: bool
    skip_existing: bool
    max_pixels: int | None
    as_json: bool


@dataclass(frozen=True, kw_only=True)
class CompressOptions(BatchOptions):
    """Options of `aeedge compress`; at most one of quality, max_bytes, ratio, target_bpp and target_psnr is given.

    Attributes:
        images: files, folders or `-`.
        output: file or folder for the streams, or `-`; None for next to each image.
        pack: one stream for all images.
        quality: 1..100.
        max_bytes: size limit of a stream.
        ratio: the same as a share of the bytes of the pixels, 20 for one twentieth.
        target_bpp: the same in bits per pixel.
        target_psnr: PSNR in dB that has to be reached.
        max_error: most that a sample may be off by.
        verify: decode each stream, and read back what was written.
        all_frames: keep every frame of an animation or multi-page file.
        no_stored_tiles: store no tile losslessly.
        no_metadata: drop ICC profile and EXIF.
        value_range: black and white of float and 32-bit gray, or None.
        cluster: `ray` or `ray:ADDRESS`, to work there.
        manifest: file for a row on each input, or None.
    """

    images: tuple[str, ...]
    output: str | None
    pack: str | None
    quality: int | None
    max_bytes: int | None
    ratio: float | None
    target_bpp: float | None
    target_psnr: float | None
    max_error: int | None
    verify: bool
    all_frames: bool
    no_stored_tiles: bool
    no_metadata: bool
    value_range: tuple[float, float] | None
    cluster: str | None
    manifest: str | None

    def __post_init__(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            click.UsageError: they do.
        """
        if self.pack and self.pack.startswith("-") and self.pack != STDIN:
            raise click.UsageError(f"--pack: found {self.pack}, expected the name of the stream to write")
        if self.pack and is_folder(self.pack):
            raise click.UsageError(
                f"--pack {printable(self.pack)}: found a folder, expected the name of the stream to write"
            )
        if self.pack and (self.output or self.all_frames):
            raise click.UsageError("--pack cannot be combined with -o or --all-frames")
        if self.pack and self.jobs:
            raise click.UsageError("--pack cannot be combined with --jobs: images of one stream are read in turn")
        if self.as_json and self.to_stdout:
            raise click.UsageError(
                "--json cannot be combined with a stream on stdout; write the stream to a file with -o"
            )
        if self.cluster and (self.cluster.partition(":")[0] != "ray" or self.cluster == "ray:"):
            raise click.UsageError(f"--on: found {printable(self.cluster)}, expected ray or ray:ADDRESS")
        if self.cluster and (not self.output or self.to_stdout or self.pack or STDIN in self.images):
            raise click.UsageError("--on needs files or folders to read and a folder that -o names")
        if self.manifest and not self.manifest.endswith(MANIFEST_SUFFIXES):
            raise click.UsageError(
                f"--manifest {printable(self.manifest)}: expected a name that ends in {' or '.join(MANIFEST_SUFFIXES)}"
            )
        if self.max_error is not None and self.no_stored_tiles:
            raise click.UsageError("--max-error cannot be combined with --no-stored-tiles")
        if len(self.rates) > 1:
            raise click.UsageError(f"{' and '.join(self.rates)} cannot be combined; use one of them")

    @property
    def to_stdout(self) -> bool:
        """Whether a stream goes to standard output."""
        return STDIN in (self.output, self.pack) or (self.images == (STDIN,) and not (self.output or self.pack))

    @property
    def rates(self) -> list[str]:
        """The flags given that decide the number of bytes."""
        given = {
            "--quality": self.quality,
            "--max-bytes": self.max_bytes,
            "--ratio": self.ratio,
            "--target-bpp": self.target_bpp,
            "--target-psnr": self.target_psnr,
            "--max-error": self.max_error,
        }
        return [flag for flag, value in given.items() if value is not None]


model_option = click.option(
    "-m",
    "--model",
    metavar="BUNDLE",
    default=None,  # not its name: there may be a folder called photo here
    help="Bundle to use: a folder, an .aeb file, a URL or a shipped name.  [default: photo]",
)
device_option = click.option(
    "--device",
    metavar="NAME",
    default="cpu",
    show_default=True,
    help="cpu, cuda, cuda:N, auto (CUDA if it works, else the CPU) or provider:NAME.",
)
threads_option = click.option(
    "--threads",
    metavar="N",
    type=Whole(),
    default=None,
    help="Threads that the networks use.  [default: one per core]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
force_option = click.option("--force", is_flag=True, help="Replace existing output.")
skip_option = click.option("--skip-existing", is_flag=True, help="Skip inputs whose output exists.")
pixels_option = click.option(
    "--max-pixels",
    metavar="N",
    type=Whole(),
    default=None,
    help="Refuse inputs with more than N pixels.  [default: 178956970]",
)
jobs_option = click.option(
    "--jobs",
    metavar="N",
    type=Whole(1, 64),
    default=None,
    help="Files to process at once; they share the cores.  [default: one per core, at most 8]",
)

CODEC_OPTIONS = (
    *(json_option, pixels_option, skip_option, force_option),
    *(jobs_option, threads_option, device_option, model_option),
)


def codec_options(function: Function) -> Function:
    """Add the options of every command that runs a codec on files; see BatchOptions."""
    for option in CODEC_OPTIONS:
        function = option(function)
    return function
