"""Mutation: takes each guard out of the packages in turn and shows that a test fails without it.

A guard is an `if` that raises, an `if` of a function named `..._fault` that returns a fault, a rule in a table of
rules, or an `except` that raises another error. With --parts each half of a condition that joins two by `or` is taken
out alone as well. First every test runs once against a copy of the packages in which each guard notes the tests that
it fires in: no other test can see that it is gone. Then every mutant, a copy without one guard, is tested by those in
a forked child, until one fails.

Modules that are not run keep what the results file says of them.

python benchmarks/trust/mutation.py [--only MODULE ...] [--tests PATH ...] [--parts]

Guards of the runtime and of most commands need no PyTorch; those of training and export do.
"""

from __future__ import annotations

import ast
import datetime
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np  # noqa: F401 - imported before the forks, so that children need not
import onnxruntime  # noqa: F401
import pytest
from PIL import Image, ImageCms  # noqa: F401
from trials import RESULTS, finish, parser

ROOT = Path(__file__).parents[2]
PACKAGES = {"aeedge_runtime": "runtime", "aeedge": ".", "aeedge_export": "export"}
"""Each package, and the folder it lies in."""

TESTS = {"aeedge_runtime": "tests/runtime", "aeedge": "tests/aeedge", "aeedge_export": "tests/export"}
WAIT_S = 150.0
BASELINE_S = 3600.0
MOST_TESTS = 40  # of a guard that fires in hundreds: those of its own module first, the quickest of them

PROBE = '''
import os

_seen = set()


def fired(guard, value):
    """Notes the running test where a guard's condition is true; returns the condition."""
    broken = value if isinstance(value, bool) else bool(getattr(value, "any", lambda: value)())
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
    if broken and (guard, test) not in _seen:
        _seen.add((guard, test))
        with open({place!r}, "ab", buffering=0) as file:
            file.write(f"{{guard}}\\t{{test}}\\n".encode("utf-8", "surrogateescape"))
    return value
'''


@dataclass(frozen=True)
class Guard:
    """A guard, or a part of one.

    Attributes:
        module: dotted name.
        place: of its node in the module, in the order of `ast.walk`.
        number: which part of the node it is.
        line: of the node.
        text: its condition.
    """

    module: str
    place: int
    number: int
    line: int
    text: str

    @property
    def key(self) -> str:
        """Its name in the notes of the probe."""
        return f"{self.module}:{self.place}:{self.number}"

    @property
    def path(self) -> Path:
        """Of the module, below the folder of its package."""
        return Path(*self.module.split(".")).with_suffix(".py")


def modules(only: Sequence[str]) -> list[str]:
    """Dotted names of the modules that lie at or below the names given."""
    found = []
    for package, folder in PACKAGES.items():
        for path in sorted((ROOT / folder / package).rglob("*.py")):
            found.append(".".join(path.relative_to(ROOT / folder).with_suffix("").parts))
    return [name for name in found if any(name == word or name.startswith(f"{word}.") for word in only)]


def source_of(module: str) -> str:
    """Return a module's source."""
    return (ROOT / PACKAGES[module.partition(".")[0]] / Path(*module.split("."))).with_suffix(".py").read_text()


def guards_of(module: str, parts: bool) -> list[Guard]:
    """Guards of a module, and with `parts` each operand of a guard's `or`."""
    tree = ast.parse(source_of(module))
    in_fault, found = _in_fault(tree), []
    for place, node in enumerate(ast.walk(tree)):
        for number, text in _guards(node, parts, in_fault):
            found.append(Guard(module, place, number, getattr(node, "lineno", 0), text))
    return found


def _in_fault(tree: ast.AST) -> set[int]:
    """Identities of the nodes in functions that return a fault as text."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.endswith("_fault")]
    return {id(node) for function in functions for node in ast.walk(function)}


def _guards(node: ast.AST, parts: bool, in_fault: set[int]) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.If) and _refuses(node, id(node) in in_fault):
        yield 0, ast.unparse(node.test)
        if parts and isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.Or):
            yield from ((number + 1, f"part: {ast.unparse(part)}") for number, part in enumerate(node.test.values))
    elif isinstance(node, ast.Dict) and len(node.keys) > 2 and all(_is_rule(key) for key in node.keys):
        yield from ((number, ast.unparse(key)) for number, key in enumerate(node.keys) if key)
    elif isinstance(node, ast.ExceptHandler) and isinstance(node.body[-1], ast.Raise) and node.body[-1].exc:
        yield 0, f"except {ast.unparse(node.type) if node.type else ''}"


def _refuses(node: ast.If, in_fault: bool) -> bool:
    last = node.body[-1]
    if "__name__" in ast.unparse(node.test):  # the start of a script
        return False
    fault = in_fault and isinstance(last, ast.Return) and isinstance(last.value, ast.Constant | ast.JoinedStr)
    return isinstance(last, ast.Raise) or fault


def _is_rule(key: ast.expr | None) -> bool:
    return isinstance(key, ast.Constant) and isinstance(key.value, str) and " " in key.value


def probed(module: str, guards: Sequence[Guard]) -> str:
    """Return a module's source in which every guard notes that it fires."""
    tree = ast.parse(source_of(module))
    nodes = list(ast.walk(tree))
    for guard in sorted(guards, key=lambda guard: -guard.number):  # parts before the whole that holds them
        node = nodes[guard.place]
        if isinstance(node, ast.ExceptHandler):
            node.body.insert(0, ast.Expr(_call(guard, ast.Constant(True))))
        elif isinstance(node, ast.Dict):
            node.values[guard.number] = _call(guard, node.values[guard.number])
        elif isinstance(node, ast.If) and guard.number and isinstance(node.test, ast.BoolOp):
            node.test.values[guard.number - 1] = _call(guard, node.test.values[guard.number - 1])
        elif isinstance(node, ast.If):
            node.test = _call(guard, node.test)
    start = next((number for number, item in enumerate(tree.body) if not _opens_module(item)), 0)
    tree.body.insert(start, ast.parse("_guard_fired = __import__('aeedge_mutation_probe').fired").body[0])
    return ast.unparse(ast.fix_missing_locations(tree))


def _opens_module(node: ast.stmt) -> bool:
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return text or (isinstance(node, ast.ImportFrom) and node.module == "__future__")


def _call(guard: Guard, value: ast.expr) -> ast.expr:
    return ast.Call(ast.Name("_guard_fired", ast.Load()), [ast.Constant(guard.key), value], [])


def without(guard: Guard) -> str:
    """Return the source of a guard's module without it; its condition is still evaluated."""
    tree = ast.parse(source_of(guard.module))
    node = list(ast.walk(tree))[guard.place]
    if isinstance(node, ast.Dict):
        del node.keys[guard.number], node.values[guard.number]
    elif isinstance(node, ast.ExceptHandler):
        node.body = [ast.Raise()]
    elif isinstance(node, ast.If) and guard.number and isinstance(node.test, ast.BoolOp):
        node.test.values[guard.number - 1] = _never(node.test.values[guard.number - 1])
    elif isinstance(node, ast.If):
        node.test = _never(node.test)
    return ast.unparse(ast.fix_missing_locations(tree))


def _never(condition: ast.expr) -> ast.expr:
    return ast.BoolOp(ast.And(), [condition, ast.Constant(False)])


class Selection:
    """A pytest plugin: keeps chosen tests, in their order, and notes how long each test takes that passes.

    Args:
        chosen: names of the tests to keep; None keeps all.
        notes: where the times go, None for nowhere.
    """

    def __init__(self, chosen: Sequence[str] | None, notes: Path | None) -> None:
        self.options = ["--continue-on-collection-errors"] if chosen is None else ["-x"]
        self._rank = None if chosen is None else {name: number for number, name in enumerate(chosen)}
        self._notes = notes
        self._times: dict[str, float] = defaultdict(float)
        self._failed: set[str] = set()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leaves the chosen."""
        if self._rank is not None:
            rank = self._rank
            found = {_name(item.nodeid): item for item in items if _name(item.nodeid) in rank}
            items[:] = [found[name] for name in sorted(found, key=rank.__getitem__)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up the time of a test, and note that it failed."""
        self._times[_name(report.nodeid)] += report.duration
        if report.failed:
            self._failed.add(_name(report.nodeid))

    def pytest_sessionfinish(self) -> None:
        """Write the times."""
        if self._notes:
            passed = {name: seconds for name, seconds in self._times.items() if name not in self._failed}
            self._notes.write_text(json.dumps(passed))


def _name(nodeid: str) -> str:
    """Return a test's name as PYTEST_CURRENT_TEST has it, on one line."""
    return nodeid.replace("\x00", "(null)").replace("\n", " ").replace("\t", " ")


def in_child(folder: Path, plugin: Selection, paths: Sequence[str], wait_s: float) -> str:
    """Run tests in a forked child until one fails, and return the outcome."""
    child = os.fork()
    if not child:
        _test(folder, plugin, [str(ROOT / path) for path in paths])
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            code = os.waitstatus_to_exitcode(status)
            return {0: "survived", 1: "failed", 2: "failed to import"}.get(code, f"no verdict ({code})")
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hung"


def _test(folder: Path, plugin: Selection, paths: list[str]) -> None:
    code = 3
    try:
        null = os.open(os.devnull, os.O_RDWR)
        log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for number, target in enumerate((null, log, log)):
            os.dup2(target, number)
        os.chdir(folder)
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(folder / "hypothesis")
        for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
            del sys.modules[name]  # ours; the mutant comes from the folder
        sys.path.insert(0, str(folder))
        sys.dont_write_bytecode = True
        options = [*plugin.options, "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", str(ROOT)]
        options += ["-c", str(ROOT / "pyproject.toml"), "--basetemp", str(folder / "pytest")]
        code = pytest.main([*options, *paths], [plugin])
    finally:
        os._exit(int(code))


def baseline(folder: Path, guards: Mapping[str, Sequence[Guard]], paths: Sequence[str]) -> dict[str, list[str]]:
    """Run the tests at `paths`, or of the packages; return those each guard fires in, the most telling first."""
    place = folder / "fired"
    place.touch()
    (folder / "aeedge_mutation_probe.py").write_text(PROBE.format(place=str(place)))
    for module, found in guards.items():
        _write(folder, module, probed(module, found))
    places = list(paths) or list(dict.fromkeys(TESTS[module.partition(".")[0]] for module in guards))
    outcome = in_child(folder, Selection(None, folder / "times"), places, BASELINE_S)
    if outcome != "survived":  # tests that fail anyway show nothing, and are left out
        print(f"{outcome} without any mutation:\n{(folder / 'log').read_text()[-3000:]}", file=sys.stderr)
    times = json.loads((folder / "times").read_text())
    for module in guards:
        _write(folder, module, source_of(module))
    tests = defaultdict(set)
    for line in place.read_text(errors="surrogateescape").splitlines():
        key, _, test = line.partition("\t")
        tests[key].add(test)
    return {key: sorted(found & times.keys(), key=lambda test: _rank(key, test, times)) for key, found in tests.items()}


def _rank(key: str, test: str, times: Mapping[str, float]) -> tuple[bool, float]:
    module = key.partition(":")[0].rpartition(".")[2]
    return f"test_{module}.py" not in test, times[test]


def _write(folder: Path, module: str, source: str) -> None:
    (folder / Path(*module.split("."))).with_suffix(".py").write_text(source)


def tested(folder: Path, guard: Guard, tests: Sequence[str]) -> str:
    """Runs the tests in which a guard fires against the packages without it."""
    if not tests:
        return "survived: no test reaches it"
    chosen = tests[:MOST_TESTS]
    _write(folder, guard.module, without(guard))
    paths = list(dict.fromkeys(test.partition("::")[0] for test in chosen))
    outcome = in_child(folder, Selection(chosen, None), paths, WAIT_S)
    _write(folder, guard.module, source_of(guard.module))
    return outcome


def recorded(path: Path, parts: bool) -> dict[str, dict[str, Any]]:
    """Return what an earlier run of the same kind found, of modules that still have guards."""
    content = json.loads(path.read_text()) if path.exists() else {}
    known = set(modules(list(PACKAGES)))
    found = content.get("modules", {}) if content.get("parts") == parts else {}
    return {name: fact for name, fact in found.items() if name in known}


def main() -> int:
    """Test every mutant."""
    options = parser(__doc__, 0)
    options.add_argument("--only", nargs="+", default=["aeedge_runtime"], metavar="MODULE", help="or packages")
    options.add_argument("--tests", nargs="+", default=[], metavar="PATH", help="[those of the packages]")
    options.add_argument("--parts", action="store_true")
    arguments = options.parse_args()
    guards = {name: guards_of(name, arguments.parts) for name in modules(arguments.only)}
    guards = {name: found for name, found in guards.items() if found}
    facts = recorded(arguments.out or RESULTS / "trust_mutation.json", arguments.parts)
    code = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for package, place in PACKAGES.items():
            shutil.copytree(ROOT / place / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
        tests = baseline(folder, guards, arguments.tests)
        for module, found in guards.items():
            outcomes = [(guard, tested(folder, guard, tests.get(guard.key, ()))) for guard in found]
            killed = {"failed", "failed to import", "hung"}
            survivors = [f"line {guard.line}: {guard.text:.120}: {end}" for guard, end in outcomes if end not in killed]
            today = datetime.date.today().isoformat()
            facts[module] = {"guards": len(outcomes), "faults": len(survivors), "survivors": survivors, "date": today}
            total = sum(fact["guards"] for fact in facts.values())
            code = finish("mutation", {"guards": total, "parts": arguments.parts, "modules": facts}, arguments.out)
    return code


if __name__ == "__main__":
    raise SystemExit(main())
