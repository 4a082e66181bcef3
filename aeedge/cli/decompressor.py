"""What `aeedge decompress` does with each stream: one image to a file, several to a folder."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from aeedge.cli.batch import ROOM_PIXELS, Result, load_codec
from aeedge.cli.console import write_stdout
from aeedge.cli.outputs import IMAGE_SUFFIX, Job, OutputGuard, identity, is_picture_name, restored_folder
from aeedge.cli.packing import places_to_restore
from aeedge.cli.pipeline import Room
from aeedge.figures import printable
from aeedge.sources import STDIN, Source
from aeedge_runtime import ArgumentError, Codec, StreamError, StreamInfo, stream_info, stream_names
from aeedge_runtime.files import TEMPORARY_PREFIX, atomic_write
from aeedge_runtime.images.save import image_bytes, picture_bytes
from aeedge_runtime.notices import notice


@dataclass(frozen=True)
class Restorer:
    """A codec and how it is to be used.

    Attributes:
        codec: the model on its device.
        guard: decides where may be written.
        folder: where the images of a packed stream go; None for a folder named like the stream.
        max_pixels: most pixels of a stream; None for the codec's own limit.
        jobs: how many streams at once.
        room: pixels that may be at work at once.
        owners: place -> the stream that is restored to it.
    """

    codec: Codec
    guard: OutputGuard
    folder: Path | None
    max_pixels: int | None
    jobs: int = 1
    room: Room = field(default_factory=lambda: Room(ROOM_PIXELS))
    owners: dict[Path, Source] = field(default_factory=dict)

    @classmethod
    def load(cls, guard: OutputGuard, folder: Path | None, options: Mapping[str, Any], inputs: int) -> Self:
        """Load the codec that the command's options ask for, for so many inputs."""
        codec, jobs = load_codec(options, inputs)
        codec.bundle.require("decoder", "decompress")
        return cls(codec, guard, folder, options["max_pixels"], jobs)

    def restore(self, job: Job) -> Result | None:
        """Restore one stream to its output; None if all of that exists and is to be skipped."""
        return self.guard.attempt(lambda: self._restore(job))

    def _restore(self, job: Job) -> Result | None:
        data = job.source.read()
        info = stream_info(data)
        if info.count > 1 or "names" in info.section_bytes:
            return self._restore_folder(data, info, self._folder(job), job.source)
        if job.output is not None:
            self._claim([job.output], job.source)
        return self._restore_file(data, info, job.output)

    def _claim(self, places: Iterable[Path], source: Source) -> None:
        """Keep places for a stream: where the images of a packed one go is known only now, and may be another's."""
        for place in places:
            owner = self.owners.setdefault(place, source)  # one operation, whatever other threads do
            if owner is not source:
                raise ArgumentError(
                    f"{printable(place)} is what {owner.name} is restored to; give them different output folders"
                )

    def _restore_file(self, data: bytes, info: StreamInfo, path: Path | None) -> Result | None:
        if path is not None and not self.guard.wants(path):
            return None
        with self.room.taken(info.width * info.height):
            image = self.codec.decompress_image(data, max_pixels=self.max_pixels)
            content = _with_notices(image_bytes(image, _suffix(path)))
        if path is None:
            write_stdout(content)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(path, content, overwrite=self.guard.force)
        return _result(info, path, len(content))

    def _folder(self, job: Job) -> Path:
        if self.folder is not None:
            folder = self.folder
            if folder == job.output and is_picture_name(folder):
                raise ArgumentError(
                    f"{printable(folder)}: found the name of a picture, expected that of a folder for a packed stream; "
                    "name one with -o"
                )
        elif job.output is not None and job.source.path is not None:
            folder = job.output.with_name(restored_folder(job.source.path.name))
        else:
            raise ArgumentError("found a packed stream, expected a single image for stdout; name a folder with -o")
        if os.path.lexists(folder) and not folder.is_dir():
            raise ArgumentError(
                f"{printable(folder)}: found a file, expected a folder for a packed stream; name it with -o"
            )
        return folder

    def _restore_folder(self, data: bytes, info: StreamInfo, folder: Path, source: Source) -> Result | None:
        self.codec.validate(data, max_pixels=self.max_pixels)  # the count may be forged
        names = stream_names(data)
        places = places_to_restore([os.fsencode(name) for name in names] if names else None, info.count)
        self._claim([folder / place for place in places], source)
        wanted = {place for place in places if self.guard.wants(folder / place)}
        if not wanted:
            return None
        with self.room.taken(info.count * info.width * info.height):
            pictures = self.codec.decompress_pictures(data, max_pixels=self.max_pixels)
            contents = {
                place: _with_notices(picture_bytes(picture, _suffix(place)))
                for place, picture in zip(places, pictures, strict=True)
                if place in wanted
            }
        write_folder(folder, contents, overwrite=self.guard.force)
        return _result(info, folder, sum(map(len, contents.values())))


def write_folder(folder: Path, contents: Mapping[Path, bytes], *, overwrite: bool) -> None:
    """Write files below a folder; a new folder appears under its name only when all of them are in it.

    Args:
        folder: where.
        contents: relative place -> bytes.
        overwrite: replace existing files.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.is_dir():
        _write_all(folder, contents, overwrite=overwrite)
        return
    temporary = folder.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}.tmp"
    try:
        try:
            _write_all(temporary, contents, overwrite=False)
            _publish(temporary, folder)
        except FileExistsError:  # another process has just made it
            if not overwrite:
                raise
            _write_all(folder, contents, overwrite=True)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    finally:  # once more: Ctrl-C, or the end of a thread, may have come before the first was done
        shutil.rmtree(temporary, ignore_errors=True)


def _publish(temporary: Path, folder: Path) -> None:
    try:
        temporary.rename(folder)
    except OSError as error:
        if folder.is_dir():
            raise FileExistsError(f"{printable(folder)} exists already") from error
        raise


def _write_all(folder: Path, contents: Mapping[Path, bytes], *, overwrite: bool) -> None:
    written: set[tuple[int, int]] = set()
    for place, content in contents.items():
        path = folder / place
        # Two names can be one file: by a link, or where the file system takes upper and lower case as one.
        if identity(path) in written:
            raise StreamError(
                f"an image is named {printable(place)}, and another is written to that file; name a new folder with -o"
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(path, content, overwrite=overwrite)
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise StreamError(
                    f"an image is named {printable(place)}, too long here; restore it with decompress_batch in Python"
                ) from error
            raise
        if found := identity(path):
            written.add(found)


def _suffix(path: Path | None) -> str:
    """Return what the format of an image file follows: its suffix, that of PNG where there is none."""
    return path.suffix if path and path.suffix else IMAGE_SUFFIX


def _with_notices(made: tuple[bytes, tuple[str, ...]]) -> bytes:
    content, notes = made
    for note in notes:
        notice(note)
    return content


def _result(info: StreamInfo, place: Path | None, size: int) -> Result:
    images = f"{info.count:,} x " if info.count > 1 else ""
    facts = {"images": info.count, "width": info.width, "height": info.height, "bytes": size}
    return Result(STDIN if place is None else os.fspath(place), f"{images}{info.width}x{info.height}", facts)
