"""Variable-length integers and a cursor over the bytes of a stream."""

from __future__ import annotations

from ..errors import StreamError
from ..limits import MAX_VARINT_BYTES

DAMAGED = "the stream is damaged or cut short, get it again"


def write_varint(value: int) -> bytes:
    """Unsigned LEB128, shortest form."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)


class Cursor:
    """Reads forward in bytes.

    Args:
        data: where to read.
        position: the first byte to read.
        end: never read from here on.

    Attributes:
        position: the next byte to read.
    """

    def __init__(self, data: bytes | memoryview, position: int, end: int) -> None:
        self._data = memoryview(data)
        self.position = position
        self._end = end

    def left(self) -> int:
        """Return how many bytes there are before the end."""
        return self._end - self.position

    def take(self, size: int, what: str) -> memoryview:
        """Return the next bytes.

        Raises:
            StreamError: fewer bytes are left.
        """
        if size > self.left():
            raise StreamError(f"stream: {self.left()} bytes where the {what} needs {size}; {DAMAGED}")
        self.position += size
        return self._data[self.position - size : self.position]

    def byte(self, what: str) -> int:
        """Return the next byte; errors as `take`."""
        return self.take(1, what)[0]

    def varint(self, what: str) -> int:
        """Return the next varint.

        Raises:
            StreamError: it is cut short, too long, or not in its shortest form.
        """
        value = 0
        for place in range(MAX_VARINT_BYTES):
            byte = self.byte(what)
            value |= (byte & 127) << 7 * place
            if byte < 128:
                if place and not byte:
                    raise StreamError(f"stream: the {what} is not in its shortest form; {DAMAGED}")
                return value
        raise StreamError(f"stream: the {what} is longer than {MAX_VARINT_BYTES} bytes; {DAMAGED}")
