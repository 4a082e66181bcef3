import errno

import click
import pytest

from aeedge.cli.errors import explain
from aeedge_runtime.errors import (
    ArgumentError,
    DeviceError,
    ModelNotFoundError,
    StreamError,
    TargetNotReachedError,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ArgumentError("x"), 2),
        (StreamError("x"), 3),
        (ModelNotFoundError("x"), 4),
        (DeviceError("x"), 5),
        (TargetNotReachedError("x"), 1),
        (click.UsageError("x"), 2),
        (KeyboardInterrupt(), 130),
        (MemoryError(), 1),
        (OSError(errno.ENOSPC, "No space left on device", "out.aee"), 1),
        (ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn"), 1),
        (KeyError("x"), 1),
    ],
)
def test_every_error_is_one_line_and_an_exit_code(error, code):
    message, found = explain(error)
    assert found == code
    assert "\n" not in message
    assert message


def test_a_library_that_cannot_be_loaded_is_one_line():
    try:
        try:
            raise ImportError("x.so: failed to map segment")
        except ImportError as cause:
            raise ImportError("\n\nADVICE\non how to solve this") from cause
    except ImportError as error:
        message, code = explain(error)
    assert code == 1
    assert message.startswith("a library cannot be loaded: x.so: failed to map segment; ")
