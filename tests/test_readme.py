"""What README.md shows is run here, in order, in one folder, and must still print what it says but for the numbers."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from aeedge.cli.main import main

pytest.importorskip("torch")

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = [pytest.mark.torch, pytest.mark.slow]


def without_numbers(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\d[\d.,]*", "0", text)).strip()


def commands() -> list[list[str]]:
    """Every `aeedge` command line of the README, in order; those behind `&&` too."""
    lines = [line for kind, text in BLOCK.findall(README) if kind == "bash" for line in text.splitlines()]
    parts = [part.strip() for line in lines for part in line.split("&&")]
    return [shlex.split(part, comments=True)[1:] for part in parts if part.startswith("aeedge ")]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the README's commands have been run, with the photo that they name."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("photo.jpg", "photos/a.jpg", "photos/b.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.linear_gradient("L").resize((96, 64)).convert("RGB").save(folder / name)
    with contextlib.chdir(folder):
        for words in commands():
            assert main(words) == 0, words
    return folder


def test_the_first_command_is_the_main_job():
    assert commands()[0] == ["demo"]


def test_the_commands_leave_what_the_readme_says(place):
    for name in re.findall(r"`(aeedge-demo/[\w./-]+)`", README):
        assert (place / name).exists(), name


def test_the_python_example_prints_what_the_readme_says(place):
    blocks = BLOCK.findall(README)
    examples = [index for index, (kind, _) in enumerate(blocks) if kind == "python"]
    assert examples
    for index in examples:
        printed = io.StringIO()
        with contextlib.chdir(place), contextlib.redirect_stdout(printed):
            exec(compile(blocks[index][1], "README.md", "exec"), {})
        kind, expected = blocks[index + 1]
        assert kind == "text"
        assert without_numbers(printed.getvalue()) == without_numbers(expected)
