"""The slow reader's bytes and varints, and the error of a rule that is broken."""


class RuleBrokenError(Exception):
    """A rule of FORMAT.md is broken."""


def must(rule: bool, what: str) -> None:
    if not rule:
        raise RuleBrokenError(what)


class Reader:
    def __init__(self, data: bytes, end: int) -> None:
        self.data, self.position, self.end = data, 0, end

    def take(self, size: int) -> bytes:
        must(self.position + size <= self.end, "cut short")
        self.position += size
        return self.data[self.position - size : self.position]

    def byte(self) -> int:
        return self.take(1)[0]

    def varint(self) -> int:
        groups = [self.byte()]
        while groups[-1] & 0x80:
            must(len(groups) < 5, "varint too long")
            groups.append(self.byte())
        must(len(groups) == 1 or groups[-1] != 0, "varint not in its shortest form")
        return sum((group & 0x7F) << (7 * place) for place, group in enumerate(groups))
