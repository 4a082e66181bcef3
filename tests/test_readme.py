"""What README.md shows is run here, in order, in one folder, and must still print what it says but for the numbers."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aeedge.cli.main import main

pytest.importorskip("torch")

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
"""Kind and text of each block. Commands of `bash` blocks run here; those of `sh` blocks would take too long."""

pytestmark = [pytest.mark.torch, pytest.mark.slow]


def without_numbers(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\d[\d.,]*", "0", text)).strip()


def commands(block: str) -> list[list[str]]:
    """Every `aeedge` command line of a block, in order; those behind `&&` too."""
    parts = [part.strip() for line in block.splitlines() for part in line.split("&&")]
    return [shlex.split(part, comments=True)[1:] for part in parts if part.startswith("aeedge ")]


def run(kind: str, block: str) -> str:
    """Return what a block prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        if kind == "python":
            exec(compile(block, "README.md", "exec"), {})
        else:
            for words in commands(block):
                assert main(words) == 0, words
    return printed.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the photo that the README names, after all its blocks have run and printed what they should."""
    folder = tmp_path_factory.mktemp("readme")
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)  # a stream of more than 1 kB
    Image.fromarray(noise).save(folder / "photo.jpg")
    with contextlib.chdir(folder):
        for (kind, block), (following, expected) in zip(BLOCKS, [*BLOCKS[1:], ("", "")], strict=True):
            if kind in ("bash", "python"):
                printed = run(kind, block)
                assert following != "text" or without_numbers(printed) == without_numbers(expected)
    return folder


def test_the_first_commands_need_no_pytorch():
    assert [words[0] for words in commands(BLOCKS[0][1])] == ["compress", "decompress"]


def test_the_set_up_commands_are_one_line_each():
    lines = [line for kind, block in BLOCKS if kind == "bash" for line in block.splitlines() if "&&" in line]
    assert lines == [
        'pip install -e ".[cpu,train]" && aeedge demo',
        'pip install -e ".[cpu,train,dev]" && pytest',
    ]


def test_the_blocks_leave_what_the_readme_says(folder):
    names = re.findall(r"`(aeedge-demo/[\w./-]+)`", README)
    assert names
    for name in names:
        assert (folder / name).exists(), name
