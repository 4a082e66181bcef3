"""What the user should know though a call succeeded: Python warnings, or, where somebody collects them, plain text.

`warnings.catch_warnings` swaps state of the whole process, so threads that use it take each other's warnings. A
collector belongs to its context (its thread, its task), as the clock of `stages` does.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from .errors import AeedgeWarning

if TYPE_CHECKING:
    from .images.load import Picture

_COLLECTOR: ContextVar[list[str] | None] = ContextVar("aeedge_remarks", default=None)


@contextmanager
def collected() -> Iterator[list[str]]:
    """Collects the remarks made inside, in this context, instead of warning of them."""
    found: list[str] = []
    token = _COLLECTOR.set(found)
    try:
        yield found
    finally:
        _COLLECTOR.reset(token)


def remark(text: str, *, stacklevel: int = 1) -> None:
    """Says something to the user: to the collector where there is one, else as an AeedgeWarning.

    Args:
        text: one sentence.
        stacklevel: whose line a warning names; 1 for the caller of this function.
    """
    collector = _COLLECTOR.get()
    if collector is None:
        warnings.warn(text, AeedgeWarning, stacklevel=stacklevel + 1)
    else:
        collector.append(text)


def told(picture: Picture) -> Picture:
    """Says what reading a picture has changed; returns the picture."""
    for note in picture.notes:
        remark(note, stacklevel=2)
    return picture
