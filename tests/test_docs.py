"""The pages lead somewhere, and the page of the Python interface knows all of it."""

import contextlib
import re
from pathlib import Path

import pytest
from PIL import Image

import aeedge_runtime
from aeedge_runtime import AeedgeError, Codec

ROOT = Path(__file__).parent.parent
PAGES = sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("[!r]*/**/*.md")) + sorted(ROOT.glob("runtime/*.md"))
INTERFACE = (ROOT / "docs" / "embed.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)[)#]", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_every_public_name_is_on_the_page_of_the_interface():
    methods = [name for name in vars(Codec) if not name.startswith("_")]
    for name in (*aeedge_runtime.__all__, *methods):
        result = name in ("Bundle", "Diagnosis", "StreamInfo", "Verification", "__version__")  # what others return
        assert result or re.search(rf"\b{name}\b", INTERFACE), name


def test_exit_codes_on_the_page_are_those_of_the_classes():
    rows = re.findall(r"^\| (`\w+Error`.*?) \| (\d) \|", INTERFACE, re.MULTILINE)
    told = {name: int(code) for names, code in rows for name in re.findall(r"`(\w+)`", names)}
    classes = {name: value for name, value in vars(aeedge_runtime.errors).items() if isinstance(value, type)}
    actual = {name: value.exit_code for name, value in classes.items() if issubclass(value, AeedgeError)}
    assert told == {name: code for name, code in actual.items() if name in told}
    assert set(actual) - set(told) == {"AeedgeError", "InputError", "ModelError"}


def test_the_example_on_the_page_runs(tmp_path, capsys):
    Image.linear_gradient("L").resize((96, 64)).convert("RGB").save(tmp_path / "photo.jpg")
    (example,) = re.findall(r"^```python\n(.*?)^```$", INTERFACE, re.MULTILINE | re.DOTALL)
    with contextlib.chdir(tmp_path):
        exec(compile(example, "embed.md", "exec"), {})
    assert re.fullmatch(r"96 64 \d+ \(320, 4, 6\)\n", capsys.readouterr().out)
    with Image.open(tmp_path / "restored.png") as restored:
        assert restored.size == (96, 64)
