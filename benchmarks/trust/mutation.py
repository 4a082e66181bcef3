"""Mutation: takes each guard out of the runtime in turn and shows that a test fails without it.

A guard is an `if` that raises, an `if` of a function named `..._fault` that returns a fault, or a rule in a table of
rules. With --parts each half of a condition that joins two by `or` is taken out alone as well. Every mutant is a copy
of the runtime, tested in a forked child by the tests of its module.

python benchmarks/trust/mutation.py [--only MODULE ...] [--parts]
"""

from __future__ import annotations

import ast
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np  # noqa: F401 - imported before the forks, so that children need not
import onnxruntime  # noqa: F401
import pytest
from PIL import Image, ImageCms  # noqa: F401
from trials import finish, parser

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "runtime" / "aeedge_runtime"
WAIT_S = 150.0

TESTS = {
    "container": "container streams codec",
    "lanes": "chunk streams",
    "chunk": "chunk streams codec",
    "sections": "sections streams",
    "layout": "layout container codec",
    "manifest": "manifest bundle",
    "store": "bundle",
    "tables": "bundle",
    "weights": "weights",
    "codec": "codec streams targets",
    "bundle": "bundle codec",
    "prior": "graphs weights codec bundle",
    "networks": "graphs codec stages",
    "symbols": "codec streams",
    "rans": "rans chunk streams",
    "streaminfo": "codec streams",
    "stack": "codec",
    "image": "image codec",
    "imagemode": "image",
    "imagewrite": "image",
    "files": "files codec",
    "bank": "bank chunk",
    "session": "session graphs codec",
    "targets": "targets",
    "verify": "verify",
}
"""Test files, by their names without `test_`, of each module that has guards against input."""


@dataclass(frozen=True)
class Mutant:
    """A module's source without one guard.

    Attributes:
        module: name.
        line: of the guard.
        guard: its condition, shortened.
        source: the changed source.
    """

    module: str
    line: int
    guard: str
    source: str


def mutants(module: str, parts: bool) -> Iterator[Mutant]:
    """One per guard, and with `parts` one per operand of a guard's `or`."""
    source = (RUNTIME / f"{module}.py").read_text()
    for place, node in enumerate(ast.walk(ast.parse(source))):
        for number in range(_variants(node, parts)):
            tree = ast.parse(source)
            found = next(item for index, item in enumerate(ast.walk(tree)) if index == place)
            guard = _remove(found, number)
            yield Mutant(module, getattr(found, "lineno", 0), guard, ast.unparse(ast.fix_missing_locations(tree)))


def _variants(node: ast.AST, parts: bool) -> int:
    """How many mutants a node gives."""
    if isinstance(node, ast.If) and _is_guard(node):
        either = node.test.values if isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.Or) else []
        return 1 + (len(either) if parts else 0)
    if isinstance(node, ast.Dict) and len(node.keys) > 2 and all(_is_rule(key) for key in node.keys):
        return len(node.keys)
    return 0


def _is_guard(node: ast.If) -> bool:
    last = node.body[-1]
    text = isinstance(last, ast.Return) and isinstance(last.value, ast.Constant | ast.JoinedStr)
    fault = text and isinstance(getattr(last.value, "value", "text"), str)
    return isinstance(last, ast.Raise) or fault


def _is_rule(key: ast.expr | None) -> bool:
    return isinstance(key, ast.Constant) and isinstance(key.value, str) and " " in key.value


def _remove(node: ast.AST, number: int) -> str:
    """Takes a guard out of the tree; returns its text."""
    if isinstance(node, ast.Dict):
        text = ast.unparse(node.keys[number] or ast.Constant(""))
        del node.keys[number], node.values[number]
        return text
    if not isinstance(node, ast.If):
        raise TypeError(f"a guard of type {type(node).__name__}")
    if number and isinstance(node.test, ast.BoolOp):
        text = ast.unparse(node.test.values[number - 1])
        node.test.values[number - 1] = ast.BoolOp(ast.And(), [ast.Constant(False), node.test.values[number - 1]])
        return f"part: {text}"
    text = ast.unparse(node.test)
    node.test = ast.BoolOp(ast.And(), [ast.Constant(False), node.test])
    return text


def tested(folder: Path, mutant: Mutant | None) -> str:
    """Runs the tests of a mutant's module against it, or of all modules against the unchanged runtime."""
    chosen = list(
        dict.fromkeys(test for name in ([mutant.module] if mutant else TESTS) for test in TESTS[name].split())
    )
    if mutant:
        (folder / "aeedge_runtime" / f"{mutant.module}.py").write_text(mutant.source)
    child = os.fork()
    if not child:
        _test(folder, [str(ROOT / "tests" / "runtime" / f"test_{name}.py") for name in chosen])
    outcome = _wait(child)
    if mutant:
        shutil.copy(RUNTIME / f"{mutant.module}.py", folder / "aeedge_runtime")
    return outcome


def _test(folder: Path, paths: list[str]) -> None:
    code = 3
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        os.chdir(folder)
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(folder / "hypothesis")
        for name in [name for name in sys.modules if name.partition(".")[0] == "aeedge_runtime"]:
            del sys.modules[name]  # ours; the mutant comes from the folder
        sys.path.insert(0, str(folder))
        sys.dont_write_bytecode = True
        base = str(folder / "pytest")
        options = ["-x", "-q", "-p", "no:cacheprovider", "--rootdir", str(ROOT), "--basetemp", base]
        code = pytest.main([*options, "-c", str(ROOT / "pyproject.toml"), *paths])
    finally:
        os._exit(int(code))


def _wait(child: int) -> str:
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return {0: "survived", 1: "failed"}.get(os.waitstatus_to_exitcode(status), "failed to import")
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hung"


def main() -> int:
    """Tests every mutant."""
    options = parser(__doc__, 0)
    options.add_argument("--only", nargs="+", choices=sorted(TESTS), default=list(TESTS))
    options.add_argument("--parts", action="store_true")
    arguments = options.parse_args()
    facts: dict[str, dict[str, object]] = {}
    code = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        shutil.copytree(RUNTIME, folder / "aeedge_runtime", ignore=shutil.ignore_patterns("bundles", "__pycache__"))
        if tested(folder, None) != "survived":
            raise SystemExit("the tests fail without any mutation")
        for module in arguments.only:
            outcomes = [(mutant, tested(folder, mutant)) for mutant in mutants(module, arguments.parts)]
            survivors = [
                f"line {mutant.line}: {mutant.guard:.120}" for mutant, found in outcomes if found == "survived"
            ]
            facts[module] = {"guards": len(outcomes), "faults": len(survivors), "survivors": survivors}
            total = sum(int(str(found["guards"])) for found in facts.values())
            code = finish("mutation", {"guards": total, "parts": arguments.parts, "modules": facts}, arguments.out)
    return code


if __name__ == "__main__":
    raise SystemExit(main())
