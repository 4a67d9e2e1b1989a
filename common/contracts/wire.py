"""JSON of a peer: what decoding it may raise, and the check that nothing later fails on its bytes."""

from typing import Final

import msgspec

FAULTS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Not JSON or another shape; strings that are no UTF-8; nesting without end."""


def check_utf8(data: bytes) -> None:
    """Raises UnicodeDecodeError. msgspec looks at a string only when it makes one, so a Raw part could fail late."""
    if not data.isascii():
        data.decode()
