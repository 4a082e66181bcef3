"""Safe names: relative paths that stay below a folder on every system, whichever system wrote them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..limits import MAX_NAME_BYTES

_DEVICES = rb"(?i:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)(?:[0-9]|\xc2[\xb9\xb2\xb3]))"
"""Names that Windows takes for a device in any folder, whatever follows the first dot."""

_UNSAFE = rb"(?:\A|(?<=[/\0]))(?:[/\0]|%s *[./\0])|[. ][/\0]|[\\:]|(?:\A|(?<=\0))[^\0]{%d}" % (
    _DEVICES,
    MAX_NAME_BYTES + 1,
)
"""Matches, in NUL-terminated names, what makes one unsafe: an empty component; a device; a component that ends in a dot
or a space (so also "." and ".."), which Windows strips; a backslash or a colon, which Windows takes for separators,
drives and streams; or too many bytes."""


def name_fault(plain: bytes, names: Sequence[bytes]) -> str:
    """Return what is wrong with the names of a stream's images, or "".

    Args:
        plain: the names, NUL-terminated.
        names: the same, one by one.
    """
    if len(set(names)) != len(names):
        return "a name occurs twice"
    if plain.count(b"\0") != len(names):
        return "a name contains a NUL byte, so it is not a relative path"
    if found := re.search(_UNSAFE, plain):
        start = plain.rfind(b"\0", 0, found.start()) + 1
        name = plain[start : plain.index(b"\0", start)]
        return f"{name[:64]!r} is not a relative path of at most {MAX_NAME_BYTES} bytes that is safe on every system"
    return ""
