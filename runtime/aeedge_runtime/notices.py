"""Notices: what the user should know although a call succeeded.

A notice is a Python warning or, inside `collected`, an entry of a list. `warnings.catch_warnings` changes the state of
the whole process, so threads that use it take each other's warnings; a collector belongs to its context (a thread or a
task).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from .errors import AeedgeWarning

if TYPE_CHECKING:
    from .images.picture import Picture

_COLLECTOR: ContextVar[list[str] | None] = ContextVar("aeedge_notices", default=None)


@contextmanager
def collected() -> Iterator[list[str]]:
    """Collect the notices given inside, in this context, instead of warning about them."""
    found: list[str] = []
    token = _COLLECTOR.set(found)
    try:
        yield found
    finally:
        _COLLECTOR.reset(token)


def notice(text: str, *, stacklevel: int = 1) -> None:
    """Give a notice to the collector if there is one, else as an AeedgeWarning.

    Args:
        text: one sentence.
        stacklevel: whose line a warning names; 1 for the caller of this function.
    """
    collector = _COLLECTOR.get()
    if collector is None:
        warnings.warn(text, AeedgeWarning, stacklevel=stacklevel + 1)
    else:
        collector.append(text)


def give_notices(texts: Iterable[str], *, stacklevel: int = 1) -> None:
    """Give several notices; see `notice`."""
    for text in texts:
        notice(text, stacklevel=stacklevel + 1)


def report_notes(picture: Picture) -> Picture:
    """Give a notice for each change that loading made to a Picture; return it."""
    give_notices(picture.notes, stacklevel=2)
    return picture
