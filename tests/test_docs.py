"""Pages lead somewhere, fit a screen, and say what the code says."""

import contextlib
import io
import re
import runpy
import shlex
from pathlib import Path

import click
import pytest
from PIL import Image

import aeedge_export
import aeedge_runtime
from aeedge.cli.main import aeedge
from aeedge_runtime import AeedgeError, Codec

ROOT = Path(__file__).parent.parent
PATTERNS = ("*.md", "docs/**/*.md", "runtime/*.md", "runtime/web/*.md", "benchmarks/**/*.md")
PAGES = sorted(path for pattern in PATTERNS for path in ROOT.glob(pattern))
FENCED = re.compile(r"^(```\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as the code host and the site make them."""
    titles = re.findall(r"^#+ (.*)$", FENCED.sub("", text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@each_page
def test_links_lead_somewhere(page):
    for name, anchor in re.findall(r"\]\((?!\w+:)([^)#]*)#?([^)]*)\)", FENCED.sub("", text_of(page))):
        target = (page.parent / name) if name else page
        assert target.exists(), name
        assert not anchor or anchor in anchors(target), f"{name}#{anchor}"


@each_page
def test_lines_have_at_most_120_columns(page):
    most = 200 if page.name == "FORMAT.md" else 120  # its rules are one line each
    prose = FENCED.sub("", text_of(page))
    assert not [line for line in prose.splitlines() if len(line) > most and not line.startswith("|")]


def test_the_readme_fits_its_size():
    lines = text_of(ROOT / "README.md").splitlines()
    assert len(lines) <= 110
    assert max(map(len, lines)) <= 120


def test_every_page_is_in_the_index_and_on_the_site():
    index, site = text_of(ROOT / "docs" / "index.md"), text_of(ROOT / "mkdocs.yml")
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").as_posix()
        assert f": {name}\n" in site, name
        assert name == "index.md" or f"]({name})" in index, name


def command_lines() -> list[tuple[str, str]]:
    """Every `aeedge` command in a block of shell commands, with the page it is on."""
    found = []
    for page in PAGES:
        for fence, block in FENCED.findall(text_of(page)):
            lines = block.replace("\\\n", " ").splitlines() if fence in ("```bash", "```sh") else []
            parts = (part.strip() for line in lines for part in line.split("&&"))
            found += [(page.relative_to(ROOT).as_posix(), part) for part in parts if part.startswith("aeedge ")]
    return found


@pytest.mark.parametrize(("page", "line"), command_lines())
def test_commands_on_pages_have_the_options_that_they_use(page, line):
    name, *words = shlex.split(line, comments=True)[1:]
    outer = click.Context(aeedge, **aeedge.context_settings)
    command = aeedge.get_command(outer, name)
    assert command is not None, f"{page}: {name}"
    command.make_parser(click.Context(command, parent=outer)).parse_args(words)


def test_the_page_of_the_command_line_has_the_help_texts():
    script = runpy.run_path(str(ROOT / "docs" / "cli_page.py"))
    assert script["page"]() == text_of(ROOT / "docs" / "cli.md"), "run: python docs/cli_page.py"


@pytest.mark.parametrize(("module", "page"), [(aeedge_runtime, "runtime"), (aeedge_export, "export")])
def test_the_reference_has_every_public_name(module, page):
    shown = re.findall(rf"^::: {module.__name__}\.(\w+)$", text_of(ROOT / f"docs/reference/{page}.md"), re.MULTILINE)
    assert sorted(shown) == sorted(set(module.__all__) - {"__version__"})


EMBED = text_of(ROOT / "docs" / "embed.md")


def test_every_method_and_function_is_on_the_page_about_embedding():
    methods = [name for name in vars(Codec) if not name.startswith("_")]
    for name in (*aeedge_runtime.__all__, *methods):
        result = name in ("Bundle", "Diagnosis", "StreamInfo", "Verification", "__version__")  # what others return
        assert result or re.search(rf"\b{name}\b", EMBED), name


def test_exit_codes_on_the_page_are_those_of_the_classes():
    rows = re.findall(r"^\| (`\w+Error`.*?) \| (\d) \|", EMBED, re.MULTILINE)
    stated = {name: int(code) for names, code in rows for name in re.findall(r"`(\w+)`", names)}
    classes = {name: value for name, value in vars(aeedge_runtime.errors).items() if isinstance(value, type)}
    actual = {name: value.exit_code for name, value in classes.items() if issubclass(value, AeedgeError)}
    assert stated == {name: code for name, code in actual.items() if name in stated}
    assert set(actual) - set(stated) == {"AeedgeError", "InputError", "ModelError"}


def without_numbers(text: str) -> str:
    return re.sub(r"\d[\d.,]*", "0", text)


def test_examples_about_embedding_print_what_the_page_says(tmp_path):
    Image.linear_gradient("L").resize((481, 321)).convert("RGB").save(tmp_path / "photo.jpg")
    names: dict[str, object] = {}
    blocks = FENCED.findall(EMBED)
    for (fence, block), (following, expected) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if fence == "```python":
            printed = io.StringIO()
            with contextlib.chdir(tmp_path), contextlib.redirect_stdout(printed):
                exec(compile(block, "embed.md", "exec"), names)
            assert without_numbers(printed.getvalue()) == without_numbers(expected if following == "```text" else "")
    assert (tmp_path / "decoded.png").exists()
