import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aeedge.cli.main import main


@dataclass(frozen=True)
class Completed:
    code: int
    stdout: bytes
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def text(self) -> str:
        return self.stdout.decode()

    @property
    def errors(self) -> list[str]:
        return [line for line in self.stderr.splitlines() if line.startswith("error: ")]

    @property
    def warnings(self) -> list[str]:
        return [line for line in self.stderr.splitlines() if line.startswith("warning: ")]


Run = Callable[..., Completed]


@pytest.fixture
def aeedge(capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command line in this process; a traceback in its output fails the test."""

    def run(*words: object, stdin: bytes = b"") -> Completed:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsysbinary.readouterr()
        code = main([str(word) for word in words])
        out, err = capsysbinary.readouterr()
        assert b"Traceback" not in out + err
        assert b"internal error" not in err, err
        return Completed(code, out, err.decode())

    return run


BUNDLES = Path(__file__).parent.parent / "fixtures" / "bundles"


@pytest.fixture(scope="session")
def conv() -> Path:
    """A color bundle for any size."""
    return BUNDLES / "tiny-conv"


@pytest.fixture(scope="session")
def dense() -> Path:
    """A gray bundle of patches; its streams are not those of `conv`."""
    return BUNDLES / "tiny-dense"


Draw = Callable[..., Path]


@pytest.fixture
def draw() -> Draw:
    """Writes a small smooth RGB picture; the suffix decides the format."""

    def write(path: Path, width: int = 33, height: int = 21, **options: Any) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        rows, columns = np.mgrid[0:height, 0:width]
        planes = [rows * 255 // height, columns * 255 // width, (rows + columns) % 256]
        Image.fromarray(np.stack(planes, axis=2).astype(np.uint8)).save(path, **options)
        return path

    return write
