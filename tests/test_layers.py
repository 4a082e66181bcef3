"""The order of the layers: a module imports from its own room or from the rooms below it, never from above."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = {"aeedge": ROOT / "aeedge", "aeedge_export": ROOT / "export/aeedge_export"}
FOLDERS["aeedge_runtime"] = ROOT / "runtime/aeedge_runtime"

LAYERS = (
    ("aeedge.__main__",),
    ("aeedge.cli",),
    ("aeedge_export",),
    ("aeedge.applications", "aeedge.benchmark", "aeedge.evaluation", "aeedge.service"),
    ("aeedge.presets",),
    ("aeedge.training",),
    ("aeedge.models",),
    ("aeedge",),
    ("aeedge_runtime",),
)
"""Rooms from top to bottom, those of one layer side by side; `aeedge` is every other module of that package."""

PATHS = {
    ".".join((package, *path.relative_to(folder).with_suffix("").parts)).removesuffix(".__init__"): path
    for package, folder in FOLDERS.items()
    for path in folder.rglob("*.py")
}


def imports(module):
    """Modules and libraries that a module imports, wherever in it; of this project the very module."""
    package = module if PATHS[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(PATHS[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*start, *([node.module] if node.module else [])])
            for alias in node.names:
                yield full if (full := f"{source}.{alias.name}") in PATHS else source


IMPORTS = {module: sorted(set(imports(module)) - {module}) for module in PATHS}


def room(module):
    rooms = [name for layer in LAYERS for name in layer if f"{module}.".startswith(f"{name}.")]
    return max(rooms, key=len)


def layer(name):
    return next(number for number, rooms in enumerate(LAYERS) if name in rooms)


@pytest.mark.parametrize("module", sorted(PATHS))
def test_a_module_imports_only_from_its_room_and_from_below(module):
    own = room(module)
    others = {name: room(name) for name in IMPORTS[module] if name in PATHS and room(name) != own}
    assert [name for name, other in others.items() if layer(other) <= layer(own)] == []


def test_only_the_command_line_imports_click():
    users = [module for module, names in IMPORTS.items() if any(name.partition(".")[0] == "click" for name in names)]
    assert {room(module) for module in users} == {"aeedge.cli"}


def test_the_runtime_imports_itself_relatively_only():
    for path in FOLDERS["aeedge_runtime"].rglob("*.py"):
        names = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        assert not any(name.level == 0 and str(name.module).startswith("aeedge") for name in names), path


def test_no_modules_import_each_other_in_a_circle():
    graph = {module: [name for name in names if name in PATHS] for module, names in IMPORTS.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
