"""Plain text tables for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from tasctl.text import fit, printable, width


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Rows under a header; numbers stand right, everything else left, empty values show as `-`."""
    cells = [[_text(row.get(column, "")) for column in columns] for row in rows]
    widths = [max([len(name), *(width(line[i]) for line in cells)]) for i, name in enumerate(columns)]
    right = [bool(rows) and all(_is_number(row.get(name)) for row in rows) for name in columns]
    lines = [[name.upper() for name in columns], *cells]
    return "\n".join(
        "  ".join(fit(cell, widths[i], right=right[i]) for i, cell in enumerate(line)).rstrip() for line in lines
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


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
        return ", ".join(f"{printable(key)}={_text(part)}" for key, part in value.items()) or "-"
    return printable(str(value))
