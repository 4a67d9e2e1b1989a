"""Random identifiers, sliced from a pooled block so that one call of the random source serves hundreds of messages."""

from collections.abc import Callable
from typing import Final

from tas.sip.headers import MAGIC_COOKIE

POOL_BYTES: Final = 2048
"""Random bytes fetched at a time: about a hundred calls' worth."""
TAG_DIGITS: Final = 16  # 64 bits; RFC 3261 §19.3 asks for at least 32
BRANCH_DIGITS: Final = 24  # 96 bits: unique across nodes and restarts
CALL_ID_DIGITS: Final = 32


class Tokens:
    """Tags, branches and Call-IDs from an injected random source: `random(n)` returns n bytes."""

    __slots__ = ("_pool", "_position", "_random")

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._pool = b""
        self._position = 0

    def hex(self, digits: int) -> bytes:
        """`digits` random hexadecimal digits, never given out before."""
        end = self._position + digits
        if end > len(self._pool):
            self._pool = self._random(max(POOL_BYTES, digits)).hex().encode()
            self._position, end = 0, digits
        part = self._pool[self._position : end]
        self._position = end
        return part

    def tag(self) -> bytes:
        """A From or To tag."""
        return self.hex(TAG_DIGITS)

    def branch(self) -> bytes:
        """A Via branch, magic cookie included."""
        return MAGIC_COOKIE + self.hex(BRANCH_DIGITS)

    def call_id(self, host: bytes) -> bytes:
        """A Call-ID; `host` tells a reader of a trace who made it and may be empty."""
        word = self.hex(CALL_ID_DIGITS)
        return word + b"@" + host if host else word

    def number(self, below: int) -> int:
        """A random number 0..below-1, for first CSeq values (below at most 2**31)."""
        return int(self.hex(16), 16) % below

    def fraction(self) -> float:
        """A random number in [0, 1), for the delays RFC 3261 wants randomised."""
        return int(self.hex(8), 16) / 2**32
