"""Compresses the inputs of `aeedge compress`: reads, compresses, checks and writes each."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from aeedge.cli.batch.jobs import ROOM_PIXELS, Outcome, Result, load_codec, run_batch
from aeedge.cli.batch.outputs import Job, OutputGuard
from aeedge.cli.batch.packing import names_to_pack
from aeedge.cli.batch.pipeline import Room
from aeedge.cli.batch.stop import Stop
from aeedge.cli.console import say, write_stdout
from aeedge.cli.options.shared import CompressOptions
from aeedge.figures import count, exactness, printable, size
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
from aeedge_runtime.images.picture import to_gray
from aeedge_runtime.notices import report_notes
from aeedge_runtime.remote import Location, location, write_location


@dataclass(frozen=True)
class Compressor:
    """A codec and how to use it.

    Attributes:
        codec: the model on its device.
        guard: decides where may be written.
        options: those of the command.
        jobs: how many inputs at once.
        stop: asked before an output is written.
        room: limits the pixels in the networks at once.
    """

    codec: Codec
    guard: OutputGuard
    options: CompressOptions
    jobs: int
    stop: Stop
    room: Room

    @classmethod
    def load(cls, guard: OutputGuard, options: CompressOptions, inputs: int) -> Self:
        """Load the codec that the options ask for, to compress a number of inputs."""
        codec, jobs = load_codec(options, inputs)
        codec.bundle.require("encoder", "compress")
        stop = Stop.of_command()
        return cls(codec, guard, options, jobs, stop, Room(ROOM_PIXELS, stop))

    def compress(self, job: Job) -> Result | None:
        """Compress one image (or all its frames) to its output; None if that exists and is to be skipped."""
        return self.guard.attempt(lambda: self._compress(job))

    def _compress(self, job: Job) -> Result | None:
        if job.output is not None and not self.guard.wants(job.output):
            return None
        data = job.source.read()
        pictures = list(map(report_notes, self._frames(data))) if self.options.all_frames else [self._load(data)]
        with self.room.taken(sum(picture.pixels[..., 0].size for picture in pictures)):
            stream = self._stream(pictures)
            self._check(stream, pictures)
            del pictures
        return self._finish(stream, job.output)

    def pack(self, sources: Sequence[Source], output: str, *, quiet: bool) -> tuple[list[Outcome], Mapping[str, Any]]:
        """Put images of one size into one stream at `output` (`-` is stdout); those that cannot be read are left out.

        Returns:
            What became of the images, and the facts of the stream for `--json`; none where there is none.

        Raises:
            ArgumentError: images of several sizes, or names that would meet.
        """
        path = None if output == STDIN else location(output)
        if path is not None and not self.guard.wants(path):
            return [Outcome(os.fspath(source.path or STDIN), "skipped") for source in sources], {}
        names_to_pack(sources)
        loaded: dict[Source, Picture] = {}
        pixels, most = 0, self._pixel_limit

        def load(job: Job) -> Result:
            nonlocal pixels
            picture = self._load(job.source.read())
            pixels += picture.pixels[..., 0].size
            if pixels <= most:  # no more than that is kept in memory
                loaded[job.source] = picture
            return Result(output, "packed")

        outcomes = run_batch([Job(source, path) for source in sources], load, quiet=True, stop=self.stop)
        if pixels > most:
            raise LimitError(
                f"--pack: the images have {pixels} pixels, the limit is {most}; put fewer in one stream, or raise "
                "--max-pixels"
            )
        facts: Mapping[str, Any] = {}
        if loaded:
            _check_one_size(loaded)
            stream = self._stream(list(loaded.values()), names_to_pack(list(loaded)))
            self._check(stream, list(loaded.values()))
            result = self._finish(stream, path)
            if path is not None and not quiet:
                say(f"{count(len(loaded), 'image')} -> {printable(output)}: {result.line}")
            facts = result.facts
        return outcomes, facts

    def _stream(self, pictures: Sequence[Picture], names: Sequence[bytes] | None = None) -> bytes:
        wanted = self.options
        most = wanted.max_bytes if wanted.ratio is None else max(int(_raw_bytes(pictures) / wanted.ratio), 1)
        return self.codec.compress_batch(
            pictures,
            quality=wanted.quality,
            max_bytes=most,
            target_bpp=wanted.target_bpp,
            target_psnr=wanted.target_psnr,
            max_error=wanted.max_error,
            names=names,
            metadata=not wanted.no_metadata,
            stored_tiles=not wanted.no_stored_tiles,
            max_pixels=wanted.max_pixels,
        )

    def _frames(self, data: bytes) -> Iterator[Picture]:
        return load_pictures(data, self._channels, max_pixels=self._pixel_limit, value_range=self.options.value_range)

    def _load(self, data: bytes) -> Picture:
        picture = load_picture(data, self._channels, max_pixels=self._pixel_limit, value_range=self.options.value_range)
        return report_notes(picture)

    @property
    def _channels(self) -> int:
        return self.codec.bundle.manifest.image.channels

    @property
    def _pixel_limit(self) -> int:
        return self.codec.bundle.pixel_limit(self.options.max_pixels)

    def _finish(self, stream: bytes, path: Location | None) -> Result:
        self.stop.check()
        if path is None:
            write_stdout(stream)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_location(path, stream, overwrite=self.guard.force)
            if self.options.verify and path.is_file():
                _check_written(path, stream)
        return self.result(stream, path)

    def result(self, stream: bytes, path: Location | None) -> Result:
        """Describe a stream that is at a path, or on standard output."""
        facts = stream_info(stream)
        images = f"{facts.count:,} x " if facts.count > 1 else ""
        line = f"{images}{facts.width}x{facts.height}, {size(len(stream))}, {facts.bits_per_pixel:.3g} bpp"
        if self.options.rates and self.options.quality is None:
            line += f", quality {facts.quality}"
        line += "".join(f", {part}" for part in exactness(facts.stored_tiles, facts.tiles, facts.max_error))
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
                "tiles": facts.tiles,
                "stored_tiles": facts.stored_tiles,
                "max_error": facts.max_error,
                "verified": self.options.verify,
            },
        )

    def _check(self, stream: bytes, pictures: Sequence[Picture]) -> None:
        """Decode a stream, with --verify, as far as the bundle can: to pixels, or to symbols without the decoder.

        Raises:
            AeedgeError: a sample is off by more than the stream says.
        """
        if not self.options.verify:
            return
        if "decoder" not in self.codec.bundle.manifest.halves:
            self.codec.decompress_symbols(stream, max_pixels=self.options.max_pixels)
            return
        decoded = self.codec.decompress_pictures(stream, max_pixels=self.options.max_pixels)
        bound = stream_info(stream).max_error
        found = 0 if bound is None else max(map(_largest_error, pictures, decoded))
        if bound is not None and found > bound:
            raise AeedgeError(f"a sample is off by {found}, at most {bound} is allowed; please report this as a bug")


def _largest_error(picture: Picture, decoded: Picture) -> int:
    original = to_gray(picture.pixels) if decoded.gray else picture.pixels
    return int(np.abs(original.astype(np.int16) - decoded.pixels).max())


def _check_one_size(loaded: Mapping[Source, Picture]) -> None:
    (first, picture), *others = loaded.items()
    expected = picture.pixels.shape[:2]
    for source, other in others:
        height, width = other.pixels.shape[:2]
        if (height, width) != expected:
            raise ArgumentError(
                f"{source.name}: is {width}x{height}, expected {expected[1]}x{expected[0]} like {first.name}; "
                "leave it out, or compress without --pack"
            )


def _check_written(path: Location, stream: bytes) -> None:
    """Read a file back and take it away if it is not what was written.

    Raises:
        AeedgeError: it is not.
    """
    if path.read_bytes() != stream:
        path.unlink()
        raise AeedgeError(
            f"{printable(path)}: the bytes read back differ from those written; the file was removed, check the disk"
        )


def _raw_bytes(pictures: Sequence[Picture]) -> int:
    """Return the bytes of the pixels: one a channel, alpha left out, and one a pixel of what was gray."""
    return sum(picture.pixels[..., 0].size * (1 if picture.gray else 3) for picture in pictures)
