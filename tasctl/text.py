"""Text of others on a terminal: nothing in it is obeyed, and columns stay columns whatever the script."""

from __future__ import annotations

import unicodedata
from typing import Final

SHOWN_INSTEAD: Final = "\N{MIDDLE DOT}"


def printable(text: str) -> str:
    """Without control characters: a SIP URI could carry the terminal's escape sequences."""
    return text if text.isprintable() else "".join(c if c.isprintable() else SHOWN_INSTEAD for c in text)


def width(text: str) -> int:
    """Columns the text takes: wide characters two, combining ones none."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def cut(text: str, columns: int) -> str:
    """At most `columns` wide; what is cut off shows as an ellipsis."""
    if width(text) <= columns:
        return text
    kept, room = [], columns - 1
    for character in text:
        room -= _columns(character)
        if room < 0:
            break
        kept.append(character)
    return "".join(kept) + "…"


def fit(text: str, columns: int, *, right: bool = False) -> str:
    """Padded to `columns`."""
    padding = " " * (columns - width(text))
    return padding + text if right else text + padding


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
