"""Cutting a byte stream into lines, for the control links."""

from common.contracts.rpc import MAX_LINE_BYTES


class LineTooLong(Exception):
    """The peer sent a line longer than the limit; the link is closed."""


class LineSplitter:
    """Collects bytes and gives whole lines without their newline."""

    __slots__ = ("_limit", "_rest")

    def __init__(self, limit: int = MAX_LINE_BYTES) -> None:
        self._rest = b""
        self._limit = limit

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes; raises LineTooLong."""
        lines = (self._rest + data if self._rest else data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > self._limit or any(len(line) > self._limit for line in lines):
            raise LineTooLong(f"a line is longer than {self._limit} bytes")
        return lines
