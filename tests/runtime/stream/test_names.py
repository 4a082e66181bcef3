import sys
import time
import zlib
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aeedge_runtime.errors import ArgumentError, StreamError
from aeedge_runtime.stream.names import name_fault
from aeedge_runtime.stream.sections import pack_names, unpack_names

PARTS = [
    "a",
    "b.png",
    "C",
    ".",
    "..",
    "...",
    " ",
    "/",
    "//",
    "\\",
    ":",
    "?",
    "nul",
    "NUL",
    "com1",
    "LPT9.x",
    "con ",
    "x" * 9,
]

BAD = [
    *("", "/etc/passwd", "../a", "a/../b", "a/./b", "a//b", "a/", "..", ".", "x" * 4097),
    *("\\Users\\Public\\x.png", "..\\x", "a\\b", "c:x.png", "C:/x.png", "a.png:s.png", "//server/share/x"),
    *("a.", "a ", "a/.. /b", "...", "nul", "NUL.png", "a/con", "Com1.tar.gz", "lpt\u00b3.png", "aux .png", "CONIN$"),
]

GOOD = [
    "a.png",
    "sub folder/b.jpg",
    "-x",
    "line\nbreak",
    "...x",
    ".hidden",
    "con-1.png",
    "nullable",
    "com10",
    "a/comma.png",
]


def fault(*names: bytes) -> str:
    return name_fault(b"".join(name + b"\0" for name in names), names)


@pytest.mark.parametrize("name", BAD)
def test_unsafe_names_are_refused_in_writing_and_in_reading(name: str) -> None:
    with pytest.raises(ArgumentError, match="names: "):
        pack_names([b"good", name.encode()])
    with pytest.raises(StreamError, match="names section: "):
        unpack_names(zlib.compress(b"good\0" + name.encode() + b"\0"), 2)


@pytest.mark.parametrize("name", GOOD)
def test_usual_names_are_accepted(name: str) -> None:
    assert unpack_names(pack_names([name.encode()]), 1) == [name.encode()]


def test_names_that_occur_twice_or_hold_a_nul_are_refused() -> None:
    assert "twice" in fault(b"a", b"a")
    assert "NUL" in fault(b"a\0b")
    assert fault(b"a", b"A") == ""


def test_bytes_that_are_no_text_are_names_too() -> None:
    assert fault(b"sub/\xff\xfe.jpg") == ""


def test_long_names_are_checked_once_not_at_every_byte() -> None:
    names = [b"%04d" % number + b"x" * 4092 for number in range(1000)]
    start = time.thread_time()
    assert fault(*names) == ""
    assert time.thread_time() - start < 6  # was 13 seconds


@given(st.lists(st.sampled_from(PARTS) | st.text(max_size=3), min_size=1, max_size=7).map("".join))
@settings(max_examples=500, deadline=None)
@example("a/b")
def test_what_is_accepted_stays_below_its_folder_on_every_system(name: str) -> None:
    raw = name.encode("utf-8", "surrogatepass")
    if b"\0" in raw or fault(raw):
        return
    for flavor in (PurePosixPath, PureWindowsPath):
        path, folder = flavor(name), flavor("folder")
        assert not path.is_absolute()
        assert (path.drive, path.root) == ("", "")
        assert ".." not in path.parts
        assert path.as_posix() == name
        assert (folder / path).is_relative_to(folder)
        assert len((folder / path).parts) == 2 + name.count("/")
    windows = PureWindowsPath(name)
    if sys.version_info < (3, 13):  # later versions ask for characters that a file system refuses, too
        assert not windows.is_reserved()
    assert all(part == part.rstrip(". ") for part in windows.parts)
