"""How the tables of state machines are written and run.

A table is data: state -> input -> (next state, the names of the actions in order). `compile_rows` turns the names into
the methods of one class, so that a step costs two look-ups; an input that a state has no row for is ignored.
"""

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from tas.sip.message import Request, Response

Rows = Mapping[str, Mapping[str, tuple[str, str]]]

M_contra = TypeVar("M_contra", contravariant=True)


class Action(Protocol[M_contra]):
    """One action of a machine; `message` is what arrived, None for timers and for the user's own acts."""

    def __call__(self, machine: M_contra, message: Request | Response | None, now: float, /) -> None:
        """Act."""


class Stateful(Protocol):
    """Whatever a table can drive."""

    state: str


M = TypeVar("M", bound=Stateful)
Table = dict[str, dict[str, tuple[str, tuple[Action[M], ...]]]]


def compile_rows(rows: Rows, owner: type[M]) -> Table[M]:
    """Resolve the action names of `rows` to methods of `owner`, whose names begin with an underscore."""
    return {
        state: {event: (after, _actions(owner, names)) for event, (after, names) in inputs.items()}
        for state, inputs in rows.items()
    }


def _actions(owner: type[M], names: str) -> tuple[Action[M], ...]:
    found: list[Callable[[M, Request | Response | None, float], None]] = [
        getattr(owner, f"_{name}") for name in names.split()
    ]
    return tuple(found)


def step(table: Table[M], machine: M, event: str, message: Request | Response | None, now: float) -> bool:
    """Feed one input; False when the state has no row for it."""
    row = table[machine.state].get(event)
    if row is None:
        return False
    machine.state, actions = row
    for action in actions:
        action(machine, message, now)
    return True
