import os
from pathlib import Path

import pytest

from aeedge.cli.batch.packing import names_to_pack, unpacked_paths
from aeedge.sources import Source
from aeedge_runtime.errors import ArgumentError, StreamError


def test_packed_names_keep_every_byte():
    sources = [Source(Path("in") / name, Path(name)) for name in ("a.jpg", "deep/b.png", os.fsdecode(b"\xff\n.png"))]
    names = names_to_pack(sources)
    assert names == [b"a.jpg", b"deep/b.png", b"\xff\n.png"]
    assert unpacked_paths(names, 3) == [Path("a.jpg.png"), Path("deep/b.png"), Path(os.fsdecode(b"\xff\n.png"))]


def test_packed_names_that_would_meet_are_refused():
    with pytest.raises(ArgumentError, match=r"both be decompressed to a\.png"):
        names_to_pack([Source(Path("a"), Path("a")), Source(Path("a.png"), Path("a.png"))])
    inside = Source(Path("d/a.png/x/b.png"), Path("a.png/x/b.png"))
    with pytest.raises(
        ArgumentError, match=r"^a would be decompressed to a\.png, a folder that d/a\.png/x/b\.png needs"
    ):
        names_to_pack([inside, Source(Path("a"), Path("a"))])
    with pytest.raises(StreamError, match="images 1 and 2"):
        unpacked_paths([b"a", b"a.png"], 2)


def test_packed_images_without_names_are_numbered():
    assert unpacked_paths(None, 2) == [Path("0001.png"), Path("0002.png")]
    assert unpacked_paths(None, 12345)[0] == Path("00001.png")


def test_packed_names_never_lead_out_of_the_folder():
    with pytest.raises(StreamError, match="expected a path below a folder"):
        unpacked_paths([b"../a.png"], 1)
