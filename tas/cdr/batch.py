"""When rows go to the store: 200 of them or 250 ms after the first, whichever is sooner."""

from __future__ import annotations

from typing import Final

from tas.cdr.model import CdrRow

BATCH_ROWS: Final = 200
BATCH_DELAY_S: Final = 0.25


class Batch:
    """Collects rows; sans-I/O."""

    __slots__ = ("_due", "_rows")

    def __init__(self) -> None:
        self._rows: list[CdrRow] = []
        self._due: float | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: CdrRow, now: float) -> None:
        """Take a row."""
        if not self._rows:
            self._due = now + BATCH_DELAY_S
        self._rows.append(row)
        if len(self._rows) == BATCH_ROWS:
            self._due = now

    def next_timeout(self) -> float | None:
        """When the batch is to be taken."""
        return self._due

    def take(self) -> list[CdrRow]:
        """The rows, of which the batch is then empty."""
        rows, self._rows, self._due = self._rows, [], None
        return rows

    def put_back(self, rows: list[CdrRow], due: float, limit: int) -> int:
        """Rows that could not be written wait before the others until `due`; returns how many old ones were dropped."""
        kept = rows + self._rows
        dropped = max(0, len(kept) - limit)
        self._rows, self._due = kept[dropped:], due
        return dropped
