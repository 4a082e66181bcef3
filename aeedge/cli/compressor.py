"""What `aeedge compress` does with each image: read, compress, check, write."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from aeedge.cli.batch import ROOM_PIXELS, Outcome, Result, load_codec, run_batch
from aeedge.cli.console import say, write_stdout
from aeedge.cli.outputs import Job, OutputGuard
from aeedge.cli.packing import names_to_pack
from aeedge.cli.pipeline import Room
from aeedge.figures import count, printable, size
from aeedge.sources import STDIN, Source
from aeedge_runtime import (
    AeedgeError,
    ArgumentError,
    Codec,
    LimitError,
    Picture,
    load_picture,
    load_pictures,
    stream_info,
)
from aeedge_runtime.files import atomic_write
from aeedge_runtime.notices import report_notes


@dataclass(frozen=True)
class Compressor:
    """A codec and how it is to be used.

    Attributes:
        codec: the model on its device.
        guard: decides where may be written.
        rate: what decides the bytes, as `Codec.compress` takes it: a quality, a limit or a target, or nothing.
        verify: decode and read back before reporting success.
        all_frames: keep every frame.
        metadata: keep ICC profile and EXIF.
        max_pixels: most pixels of an input; None for the codec's own limit.
        jobs: how many inputs at once.
        room: pixels that may be at work at once.
    """

    codec: Codec
    guard: OutputGuard
    rate: Mapping[str, Any]
    verify: bool
    all_frames: bool
    metadata: bool
    max_pixels: int | None
    jobs: int = 1
    room: Room = field(default_factory=lambda: Room(ROOM_PIXELS))

    @classmethod
    def load(cls, guard: OutputGuard, options: Mapping[str, Any], inputs: int) -> Self:
        """Load the codec that the command's options ask for, for so many inputs."""
        codec, jobs = load_codec(options, inputs)
        codec.bundle.require("encoder", "compress")
        return cls(
            codec=codec,
            guard=guard,
            rate={name: options[name] for name in ("quality", "max_bytes", "target_bpp", "target_psnr")},
            verify=options["verify"],
            all_frames=options["all_frames"],
            metadata=not options["no_metadata"],
            max_pixels=options["max_pixels"],
            jobs=jobs,
        )

    def compress(self, job: Job) -> Result | None:
        """Compress one image (or all its frames) to its output; None if that exists and is to be skipped."""
        return self.guard.attempt(lambda: self._compress(job))

    def _compress(self, job: Job) -> Result | None:
        if job.output is not None and not self.guard.wants(job.output):
            return None
        data = job.source.read()
        pictures = list(map(report_notes, self._frames(data))) if self.all_frames else [self._load(data)]
        with self.room.taken(sum(picture.pixels[..., 0].size for picture in pictures)):
            stream = self.codec.compress_batch(
                pictures, **self.rate, metadata=self.metadata, max_pixels=self.max_pixels
            )
            del pictures
            self._check(stream)
        return self._finish(stream, job.output)

    def pack(self, sources: Sequence[Source], output: str, *, quiet: bool) -> tuple[list[Outcome], Mapping[str, Any]]:
        """Put images of one size into one stream at `output` (`-` is stdout); those that cannot be read are left out.

        Returns:
            What became of the images, and the facts of the stream for `--json`; none where there is none.

        Raises:
            ArgumentError: images of several sizes, or names that would meet.
        """
        path = None if output == STDIN else Path(output)
        if path is not None and not self.guard.wants(path):
            return [Outcome(os.fspath(source.path or STDIN), "skipped") for source in sources], {}
        names_to_pack(sources)
        loaded: dict[Source, Picture] = {}
        pixels, most = 0, self.codec.bundle.pixel_limit(self.max_pixels)

        def load(job: Job) -> Result:
            nonlocal pixels
            picture = self._load(job.source.read())
            pixels += picture.pixels[..., 0].size
            if pixels <= most:  # no more than that is kept in memory
                loaded[job.source] = picture
            return Result(output, "packed")

        outcomes = run_batch([Job(source, path) for source in sources], load, quiet=True)
        if pixels > most:
            raise LimitError(
                f"--pack: the images have {pixels} pixels, the limit is {most}; put fewer in one stream, or raise "
                "--max-pixels"
            )
        facts: Mapping[str, Any] = {}
        if loaded:
            _check_one_size(loaded)
            stream = self.codec.compress_batch(
                list(loaded.values()),
                **self.rate,
                names=names_to_pack(list(loaded)),
                metadata=self.metadata,
                max_pixels=self.max_pixels,
            )
            self._check(stream)
            result = self._finish(stream, path)
            if path is not None and not quiet:
                say(f"{count(len(loaded), 'image')} -> {printable(output)}: {result.line}")
            facts = result.facts
        return outcomes, facts

    def _frames(self, data: bytes) -> Iterator[Picture]:
        channels = self.codec.bundle.manifest.image.channels
        return load_pictures(data, channels, max_pixels=self.codec.bundle.pixel_limit(self.max_pixels))

    def _load(self, data: bytes) -> Picture:
        channels = self.codec.bundle.manifest.image.channels
        return report_notes(load_picture(data, channels, max_pixels=self.codec.bundle.pixel_limit(self.max_pixels)))

    def _finish(self, stream: bytes, path: Path | None) -> Result:
        if path is None:
            write_stdout(stream)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(path, stream, overwrite=self.guard.force)
            if self.verify and path.is_file():
                _check_written(path, stream)
        facts = stream_info(stream)
        images = f"{facts.count:,} x " if facts.count > 1 else ""
        line = f"{images}{facts.width}x{facts.height}, {size(len(stream))}, {facts.bits_per_pixel:.3g} bpp"
        if self.rate["quality"] is None and any(value is not None for value in self.rate.values()):
            line += f", quality {facts.quality}"
        return Result(
            STDIN if path is None else os.fspath(path),
            line,
            {
                "images": facts.count,
                "width": facts.width,
                "height": facts.height,
                "quality": facts.quality,
                "bytes": len(stream),
                "bits_per_pixel": facts.bits_per_pixel,
                "verified": self.verify,
            },
        )

    def _check(self, stream: bytes) -> None:
        """Decode a stream, with --verify, as far as the bundle can: to pixels, or to symbols without the decoder."""
        if not self.verify:
            return
        whole = "decoder" in self.codec.bundle.manifest.halves
        decode: Callable[..., object] = self.codec.decompress_pictures if whole else self.codec.decompress_symbols
        decode(stream, max_pixels=self.max_pixels)


def _check_one_size(loaded: Mapping[Source, Picture]) -> None:
    (first, picture), *others = loaded.items()
    expected = picture.pixels.shape[:2]
    for source, other in others:
        height, width = other.pixels.shape[:2]
        if (height, width) != expected:
            raise ArgumentError(
                f"{source.name}: found {width}x{height}, expected {expected[1]}x{expected[0]} as of {first.name}; "
                "leave it out, or compress without --pack"
            )


def _check_written(path: Path, stream: bytes) -> None:
    """Read a file back and take it away if it is not what was written.

    Raises:
        AeedgeError: it is not.
    """
    if path.read_bytes() != stream:
        path.unlink()
        raise AeedgeError(f"{printable(path)}: read back other bytes than were written; removed, check the disk")
