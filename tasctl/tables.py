"""Plain text tables for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Rows under a header; numbers stand right, everything else left, empty values show as `-`."""
    cells = [[_text(row.get(column, "")) for column in columns] for row in rows]
    widths = [max([len(name), *(len(line[i]) for line in cells)]) for i, name in enumerate(columns)]
    right = [bool(rows) and all(_is_number(row.get(name)) for row in rows) for name in columns]
    header = "  ".join(_fit(name.upper(), widths[i], right[i]) for i, name in enumerate(columns))
    lines = ["  ".join(_fit(cell, widths[i], right[i]) for i, cell in enumerate(line)) for line in cells]
    return "\n".join(line.rstrip() for line in [header, *lines])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _fit(text: str, width: int, right: bool) -> str:
    return text.rjust(width) if right else text.ljust(width)


def _text(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, list):
        return ", ".join(_text(part) for part in value) or "-"
    if isinstance(value, dict):
        return ", ".join(f"{key}={_text(part)}" for key, part in value.items()) or "-"
    return str(value)
