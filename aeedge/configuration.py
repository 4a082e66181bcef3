"""Strict conversion between frozen dataclasses and plain JSON values.

A key that a dataclass does not have is an error that names the nearest one, never ignored: a misspelled option that is
swallowed costs a training run. Nothing here imports torch or numpy.
"""

import dataclasses
import difflib
import json
import sys
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Self, TypeVar

from aeedge_runtime.errors import ArgumentError

T = TypeVar("T")

DEEPEST = 32
"""How deep objects and lists of a config may be nested."""

LONGEST_SHOWN = 60
"""Characters of a wrong value that a message repeats."""

LIMITS: dict[type, tuple[float, str]] = {
    int: (2**64 - 1, "a whole number below 2^64"),  # a seed may take 64 bits; nothing counts further
    float: (sys.float_info.max, "a finite number"),
}
"""Type of a number in a config -> its largest magnitude, and what is expected."""


def parse(text: str | bytes) -> Any:
    """Return the JSON values of a config's text.

    Raises:
        ArgumentError: it is not JSON, an object has a key twice, or it is nested too deep.
    """
    try:
        values = json.loads(text, object_pairs_hook=_object)
        _require_shallow(values, DEEPEST)
    except ArgumentError:
        raise
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        raise ArgumentError(f"not JSON ({error})") from error
    return values


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `; the nearest is "..."` for the known name closest to `name`, or the whole list when none is close."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f'; did you mean "{close[0]}"?' if close else f"; expected one of {', '.join(names)}"


class Configuration:
    """Base of config dataclasses: `from_dict` and `to_dict`, strict in both directions."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "") -> Self:
        """Build the dataclass from plain JSON values; see `build`."""
        return build(cls, values, where)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` of them gives an equal object."""
        values: dict[str, Any] = plain(self)
        return values


def build(cls: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """Build a dataclass from plain JSON values; missing keys take their defaults.

    Args:
        cls: a dataclass; its annotations say what each value must be.
        values: field name -> value; lists stand for tuples, mappings for nested dataclasses.
        where: dotted place of `values` in the whole config, for messages.

    Raises:
        ArgumentError: an unknown key, a missing required key or a value of the wrong type.
    """
    place = where or cls.__name__
    if not isinstance(values, Mapping):
        raise ArgumentError(f"{place}: found {_named(values)}, expected an object with keys")
    hints = typing.get_type_hints(cls)
    known = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise ArgumentError(f'{place}: unknown key "{key}"{nearest(key, known)}')
    for name, field in known.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise ArgumentError(f'{place}: the key "{name}" is missing')
    prefix = f"{where}." if where else ""
    return cls(**{key: convert(value, hints[key], prefix + key) for key, value in values.items()})


def plain(value: Any) -> Any:
    """Return dataclasses, mappings and tuples as plain JSON values, recursively."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def convert(value: Any, hint: Any, place: str) -> Any:
    """Return a JSON value as the type `hint`, or raise ArgumentError that names `place`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return convert(value, next(kind for kind in arguments if kind is not type(None)), place)
    if origin is typing.Literal:
        if value not in arguments:
            raise ArgumentError(f'{place}: found "{value}"{nearest(str(value), map(str, arguments))}')
        return value
    if origin is tuple:
        return _tuple(value, arguments, place)
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise ArgumentError(f"{place}: found {_named(value)}, expected an object with keys")
        return {str(key): convert(item, arguments[1], f"{place}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return value if isinstance(value, hint) else build(hint, value, place)
    return hint(_scalar(value, hint, place)) if hint is not Any else value


def flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return plain values by their dotted keys."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return found


def set_key(values: dict[str, Any], dotted: str, value: Any) -> None:
    """Set the entry at a dotted place of nested plain values, as `--set training.optimizer.learning_rate=1e-4` does.

    Raises:
        ArgumentError: a part of the place does not exist; the message names the nearest key.
    """
    *parents, last = dotted.split(".")
    branch: Any = values
    for depth, part in enumerate([*parents, last]):
        if not isinstance(branch, dict):
            raise ArgumentError(f'"{".".join(dotted.split(".")[:depth])}" holds a value and has no key "{part}"')
        open_ended = depth and dotted.split(".")[depth - 1] == "terms"
        if part not in branch and not open_ended:
            raise ArgumentError(f'unknown key "{dotted}": no "{part}" here{nearest(part, branch)}')
        if depth < len(parents):
            branch = branch[part]
    branch[last] = value


def _tuple(value: Any, arguments: tuple[Any, ...], place: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ArgumentError(f"{place}: found {_named(value)}, expected a list")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(convert(item, arguments[0], f"{place}[{i}]") for i, item in enumerate(value))
    if len(value) != len(arguments):
        raise ArgumentError(f"{place}: found {len(value)} values, expected {len(arguments)}")
    return tuple(
        convert(item, kind, f"{place}[{i}]") for i, (item, kind) in enumerate(zip(value, arguments, strict=True))
    )


def _scalar(value: Any, hint: type, place: str) -> Any:
    if hint is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    kinds = (int, float) if hint is float else hint
    fits = isinstance(value, kinds) and (hint is bool or not isinstance(value, bool))
    if not fits:
        raise ArgumentError(f"{place}: found {_named(value)}, expected {hint.__name__}")
    limit, words = LIMITS.get(hint, (0, ""))
    if words and not -limit <= value <= limit:
        raise ArgumentError(f"{place}: found {_named(value)}, expected {words}")
    return value


def _named(value: Any) -> str:
    if isinstance(value, Mapping):
        return "an object"
    text = str(value)
    shown = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
    return f'"{shown}" ({type(value).__name__})'


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ArgumentError(f'found the key "{key}" twice in one object, expected it once')
        found[key] = value
    return found


def _require_shallow(value: Any, levels: int) -> None:
    if levels < 0:
        raise _too_deep()
    if isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            _require_shallow(item, levels - 1)


def _too_deep() -> ArgumentError:
    return ArgumentError(f"objects or lists are nested more than {DEEPEST} deep, expected fewer levels")
