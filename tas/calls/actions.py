"""Turning the table's action names into the functions of the rooms that hold them."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tas.calls.table import Rows

if TYPE_CHECKING:
    from tas.calls.call import Call

Action = Callable[["Call", Any, float], None]
CompiledTable = dict[str, dict[str, tuple[str, tuple[Action, ...]]]]


def compile_table(rows: Rows, modules: list[ModuleType]) -> CompiledTable:
    """Resolve every action name in exactly one of `modules`; raises LookupError for a name in none."""

    def find(name: str) -> Action:
        for module in modules:
            action: Action | None = getattr(module, name, None)
            if action is not None:
                return action
        raise LookupError(f"no action {name!r} in {[module.__name__ for module in modules]}")

    return {
        state: {event: (after, tuple(find(name) for name in names.split())) for event, (after, names) in inputs.items()}
        for state, inputs in rows.items()
    }
