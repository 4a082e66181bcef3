"""Names of the images in a packed stream, when it is written and when it is unpacked to disk."""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from aeedge.cli.batch.outputs import decompressed_name
from aeedge.figures import printable
from aeedge.sources import Source
from aeedge_runtime.errors import ArgumentError, StreamError


def names_to_pack(sources: Sequence[Source]) -> list[bytes]:
    """Return the name of each source in a packed stream: its path below the folder, parts separated by `/`.

    Raises:
        ArgumentError: two of them, or of the images they would be decompressed to, are the same or nested.
    """
    first: dict[str, Source] = {}
    for source in sources:
        name = decompressed_name(source.relative.as_posix())
        other = first.setdefault(name, source)
        if other is not source:
            raise ArgumentError(
                f"{other.name} and {source.name} would both be decompressed to {printable(name)}; "
                "rename one, or compress without --pack"
            )
    for name, source in first.items():
        for folder in PurePosixPath(name).parents:
            if above := first.get(folder.as_posix()):
                raise ArgumentError(
                    f"{above.name} would be decompressed to {printable(folder)}, a folder that {source.name} needs; "
                    "rename one, or compress without --pack"
                )
    return [os.fsencode(source.relative.as_posix()) for source in sources]


def unpacked_paths(names: Sequence[bytes] | None, count: int) -> list[Path]:
    """Return where, below the output folder, each image of a packed stream goes; numbered where it has no names.

    Args:
        names: the names in the stream, relative and without `..`; None if it has none.
        count: images in the stream.

    Raises:
        StreamError: a name leads elsewhere on this system, or two images would go to one path.
    """
    digits = max(4, len(str(count)))
    words = [os.fsdecode(name) for name in names] if names else [f"{number + 1:0{digits}}" for number in range(count)]
    paths = [Path(decompressed_name(word)) for word in words]
    first: dict[str, int] = {}
    for number, path in enumerate(paths):
        if path.drive or ".." in path.parts:  # on Windows, a backslash or a colon in a name from another system
            raise StreamError(f"image {number + 1} is named {printable(words[number])}, expected a path below a folder")
        other = first.setdefault(os.path.normcase(path), number)
        if other != number:
            raise StreamError(
                f"images {other + 1} and {number + 1} would both be written to {printable(path)}; "
                "decompress them from Python with decompress_batch"
            )
    for number, path in enumerate(paths):
        for folder in path.parents:
            above = first.get(os.path.normcase(folder))
            if above is not None:
                raise StreamError(
                    f"image {number + 1} is named {printable(words[number])}, below image {above + 1}, a file; "
                    "decompress them from Python with decompress_batch"
                )
    return paths
