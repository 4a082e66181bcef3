"""Decompresses the inputs of `aeedge decompress`: one image to a file, several to a folder."""

import errno
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from aeedge.cli.batch.jobs import ROOM_PIXELS, Result, load_codec
from aeedge.cli.batch.outputs import (
    IMAGE_SUFFIX,
    Job,
    OutputGuard,
    identity,
    is_picture_name,
    is_taken,
    unpacked_folder,
)
from aeedge.cli.batch.packing import unpacked_paths
from aeedge.cli.batch.pipeline import Room
from aeedge.cli.batch.stop import Stop
from aeedge.cli.console import write_stdout
from aeedge.cli.options.shared import BatchOptions
from aeedge.figures import printable
from aeedge.sources import STDIN, Source
from aeedge_runtime import ArgumentError, Codec, Picture, StreamError, StreamInfo, stream_info, stream_names
from aeedge_runtime.codec_cache import CodecCache
from aeedge_runtime.files import publish_folder
from aeedge_runtime.images.save import image_bytes, picture_bytes
from aeedge_runtime.notices import notice
from aeedge_runtime.remote import Location, RemotePath, write_location


@dataclass(frozen=True)
class Decompressor:
    """A codec and how to use it.

    Attributes:
        codec: the model on its device; where the user names none, the default one.
        others: where the user names no bundle, codecs of streams that need another one, found by stream id.
        guard: decides where may be written.
        folder: folder for the images of a packed stream; None for one named like the stream.
        max_pixels: largest stream to decode; None for the codec's own limit.
        jobs: how many streams at once.
        stop: asked before an output is written.
        room: limits the pixels in the networks at once.
        preview: write pictures at 1/8 of their rows and columns.
        owners: path -> the stream whose image is written there.
    """

    codec: Codec
    others: CodecCache | None
    guard: OutputGuard
    folder: Location | None
    max_pixels: int | None
    jobs: int
    stop: Stop
    room: Room
    preview: bool
    owners: dict[Location, Source] = field(default_factory=dict)

    @classmethod
    def load(
        cls,
        guard: OutputGuard,
        folder: Location | None,
        options: BatchOptions,
        inputs: int,
        decoder: str,
        *,
        preview: bool,
    ) -> Self:
        """Load the codec that the options ask for, to decompress a number of inputs."""
        codec, jobs = load_codec(options, inputs, decoder)
        codec.bundle.require("decoder", "decompress")
        others = CodecCache(codec.options.device, codec.options.threads, decoder) if options.model is None else None
        stop = Stop.of_command()
        return cls(codec, others, guard, folder, options.max_pixels, jobs, stop, Room(ROOM_PIXELS, stop), preview)

    def decompress(self, job: Job) -> Result | None:
        """Decompress one stream to its output; None if all of that exists and is to be skipped."""
        return self.guard.attempt(lambda: self._decompress(job))

    def _decompress(self, job: Job) -> Result | None:
        data = job.source.read()
        info = stream_info(data)
        if info.count > 1 and self.preview:
            raise ArgumentError("a packed stream has no preview; decompress it without --preview")
        if info.count > 1 or ("names" in info.section_bytes and not self.preview):
            return self._to_folder(data, info, self._folder(job), job.source)
        if job.output is not None:
            self._claim([job.output], job.source)
        return self._to_file(data, info, job.output)

    def _codec_for(self, info: StreamInfo) -> Codec:
        if self.others is None or info.stream_id == self.codec.bundle.manifest.stream_id:
            return self.codec
        return self.others.for_stream(info.stream_id)

    def _claim(self, paths: Iterable[Location], source: Source) -> None:
        """Reserve paths for a stream: those of a packed one are known only now, and may be another's."""
        for path in paths:
            owner = self.owners.setdefault(path, source)  # atomic, whatever other threads do
            if owner is not source:
                raise ArgumentError(
                    f"{printable(path)} is also the output of {owner.name}; give them different output folders"
                )

    def _to_file(self, data: bytes, info: StreamInfo, path: Location | None) -> Result | None:
        if path is not None and not self.guard.wants(path):
            return None
        with self.room.taken(info.width * info.height):
            content = _with_notices(self._image_bytes(self._codec_for(info), data, _suffix(path)))
        self.stop.check()
        if path is None:
            write_stdout(content)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_location(path, content, overwrite=self.guard.force)
        return _result(info, path, len(content))

    def _image_bytes(self, codec: Codec, data: bytes, suffix: str) -> tuple[bytes, tuple[str, ...]]:
        if self.preview:
            return picture_bytes(codec.preview_picture(data, max_pixels=self.max_pixels), suffix)
        return image_bytes(codec.decompress_image(data, max_pixels=self.max_pixels), suffix)

    def _folder(self, job: Job) -> Location:
        if self.folder is not None:
            folder = self.folder
            if folder == job.output and is_picture_name(folder):
                raise ArgumentError(
                    f"{printable(folder)}: has the suffix of an image file, expected a folder for a packed stream; "
                    "name one with -o"
                )
        elif job.output is not None and job.source.path is not None:
            folder = job.output.with_name(unpacked_folder(job.source.path.name))
        else:
            raise ArgumentError("a packed stream cannot be written to stdout; name a folder with -o")
        if is_taken(folder) and not folder.is_dir():
            raise ArgumentError(
                f"{printable(folder)}: is a file, expected a folder for a packed stream; name one with -o"
            )
        return folder

    def _to_folder(self, data: bytes, info: StreamInfo, folder: Location, source: Source) -> Result | None:
        codec = self._codec_for(info)
        codec.validate(data, max_pixels=self.max_pixels)  # the count may be forged
        names = stream_names(data)
        paths = unpacked_paths([os.fsencode(name) for name in names] if names else None, info.count)
        self._claim([folder / path for path in paths], source)
        wanted = {path for path in paths if self.guard.wants(folder / path)}
        if not wanted:
            return None
        with self.room.taken(info.count * info.width * info.height):
            pictures = codec.decompress_pictures(data, max_pixels=self.max_pixels)
            contents = {
                path: self._image_file(picture, path)
                for path, picture in zip(paths, pictures, strict=True)
                if path in wanted
            }
        write_folder(folder, contents, overwrite=self.guard.force)
        return _result(info, folder, sum(map(len, contents.values())))

    def _image_file(self, picture: Picture, path: Path) -> bytes:
        self.stop.check()
        return _with_notices(picture_bytes(picture, _suffix(path)))


def write_folder(folder: Location, contents: Mapping[Path, bytes], *, overwrite: bool) -> None:
    """Write files below a folder; a new folder on disk appears under its name only when all of them are in it.

    Args:
        folder: where.
        contents: relative path -> bytes.
        overwrite: replace existing files.
    """
    if not isinstance(folder, RemotePath) and not folder.is_dir():
        try:
            with publish_folder(folder) as temporary:
                _write_all(temporary, contents, overwrite=False)
        except FileExistsError:  # another process has just made it
            if not overwrite:
                raise
        else:
            return
    _write_all(folder, contents, overwrite=overwrite)


def _write_all(folder: Location, contents: Mapping[Path, bytes], *, overwrite: bool) -> None:
    written: set[tuple[int, int] | str] = set()
    for relative, content in contents.items():
        path = folder / relative
        # Two names can be one file: by a link, or where the file system takes upper and lower case as one.
        if identity(path) in written:
            raise StreamError(
                f"an image is named {printable(relative)}, and another is written to that file; "
                "name a new folder with -o"
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_location(path, content, overwrite=overwrite)
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise StreamError(
                    f"an image is named {printable(relative)}, too long here; use decompress_batch from Python"
                ) from error
            raise
        if found := identity(path):
            written.add(found)


def _suffix(path: Location | None) -> str:
    """Return what the format of an image file follows: its suffix, that of PNG where there is none."""
    return path.suffix if path and path.suffix else IMAGE_SUFFIX


def _with_notices(made: tuple[bytes, tuple[str, ...]]) -> bytes:
    content, notes = made
    for note in notes:
        notice(note)
    return content


def _result(info: StreamInfo, place: Location | None, size: int) -> Result:
    images = f"{info.count:,} x " if info.count > 1 else ""
    facts = {"images": info.count, "width": info.width, "height": info.height, "bytes": size}
    return Result(STDIN if place is None else os.fspath(place), f"{images}{info.width}x{info.height}", facts)
