"""The page of public modules is complete, and the extras are those that the code asks for."""

import re
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from aeedge import extras

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "reference" / "modules.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| \[?`([\w.]+)`\S* \| .* \|(?: (.*))? \|$", PAGE, re.MULTILINE)
MODULES = {name for name, _ in ROWS}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
PACKAGES = {"aeedge": ROOT, "aeedge_export": ROOT / "export", "aeedge_runtime": ROOT / "runtime"}


def source_of(module: str) -> Path:
    path = PACKAGES[module.partition(".")[0]] / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def hooks() -> set[str]:
    """Modules of the runtime that other libraries' users import, by the list that test_import.py checks."""
    text = (ROOT / "tests" / "runtime" / "test_import.py").read_text(encoding="utf-8")
    return {f"aeedge_runtime.{name}" for name in re.findall(r'^    "(\w+)\.py": \{', text, re.MULTILINE)}


def test_every_public_module_is_listed_once():
    with_names = {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        for name, root in PACKAGES.items()
        for path in (root / name).rglob("*.py")
        if re.search(r"^__all__", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    entries = {
        text.partition(":")[0]
        for name, group in PROJECT["entry-points"].items()
        if name != "aeedge.adapters"  # found by the name of a library, never imported by people
        for text in group.values()
    }
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    imported = {
        name
        for page in pages
        for name in re.findall(r"^(?:from|import) (aeedge[\w.]*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert hooks() >= {"aeedge_runtime.remote", "aeedge_runtime.zarr"}
    assert with_names | entries | imported | hooks() <= MODULES
    assert len(ROWS) == len(MODULES)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_listed_module_exists_and_is_typed(module):
    text = source_of(module).read_text(encoding="utf-8")
    assert text.startswith('"""')
    assert (PACKAGES[module.partition(".")[0]] / module.partition(".")[0] / "py.typed").is_file()
    assert find_spec(module.partition(".")[0])


def test_the_extras_on_the_page_exist():
    named = {name for _, needs in ROWS for name in re.findall(r"`(\w+)`", needs)}
    assert named <= EXTRAS.keys()


def distributions(extra: str) -> set[str]:
    """Import names of what an extra installs, extras within it included."""
    found: set[str] = set()
    for requirement in EXTRAS[extra]:
        if inner := re.match(r"aeedge\[(.*)\]", requirement):
            found.update(*map(distributions, inner[1].split(",")))
        else:
            found.add(re.split(r"[\[<>=,]", requirement)[0].replace("-", "_"))
    return found


@pytest.mark.parametrize("extra", ["train", "serve", "remote", "hub", "ray"])
def test_the_modules_asked_for_are_those_of_the_extra(extra):
    asked = set(getattr(extras, f"{extra.upper()}_MODULES"))
    transitive = {"onnx_ir", "rich"}  # onnx_ir comes with onnxscript
    assert asked - transitive <= distributions(extra)


def test_the_extra_for_hooks_has_those_of_every_hook():
    single = {"hub", "numcodecs", "ray", "remote", "webdataset", "zarr"}
    assert distributions("hooks") == set().union(*map(distributions, single))
