"""Numbers to destinations."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from common.contracts.outcome import Reason
from tas.config import MenuEntry, RoutingFile, Target
from tas.errors import CallRefused


class Origin(StrEnum):
    """Who calls."""

    TRUNK = "trunk"
    AGENT = "agent"


class Kind(StrEnum):
    """What a number leads to."""

    QUEUE = "queue"
    MENU = "menu"
    ECHO = "echo"
    AGENT = "agent"
    OUTSIDE = "outside"
    HANGUP = "hangup"
    REPEAT = "repeat"


class Destination:
    """Where a call goes: `name` is the queue, menu, agent or trunk; `number` what an outside call dials."""

    __slots__ = ("kind", "name", "number")

    def __init__(self, kind: Kind, name: str = "", number: str = "") -> None:
        self.kind = kind
        self.name = name
        self.number = number

    def __repr__(self) -> str:
        return f"Destination({self.kind}, {self.name!r}, {self.number!r})"


class NoRoute(CallRefused):
    """A number that leads nowhere for this caller."""

    def __init__(self, status: int, reason: str, cause: Reason) -> None:
        super().__init__(status, reason)
        self.cause = cause


def destination(target: Target) -> Destination:
    """The destination a configured target names."""
    for kind in (Kind.QUEUE, Kind.MENU, Kind.AGENT):
        name = getattr(target, kind.value)
        if name:
            return Destination(kind, name)
    if target.echo:
        return Destination(Kind.ECHO)
    return Destination(Kind.REPEAT if target.repeat else Kind.HANGUP)


class Router:
    """The number plan."""

    def __init__(self, routing: RoutingFile, agents: Collection[str]) -> None:
        self._numbers = {number: destination(target) for number, target in routing.numbers.items()}
        self._agents = frozenset(agents)
        self._outside = sorted(routing.outside, key=lambda entry: -len(entry.prefix))
        self.menus: dict[str, MenuEntry] = dict(routing.menus)

    def route(self, number: str, origin: Origin) -> Destination:
        """Find where `number` leads; raises NoRoute (404 unknown, 403 not for this caller)."""
        found = self._numbers.get(number)
        if found is not None:
            return found
        if number in self._agents:
            return Destination(Kind.AGENT, number)
        for entry in self._outside:
            if number.startswith(entry.prefix) and len(number) > max(len(entry.prefix), entry.strip):
                if origin is not Origin.AGENT:
                    # A call manager that sends its own numbers back here would loop, and a stranger could dial out.
                    raise NoRoute(403, "Outside numbers are for agents only", Reason.NOT_ALLOWED)
                return Destination(Kind.OUTSIDE, entry.trunk, number[entry.strip :])
        raise NoRoute(404, "Not Found", Reason.UNKNOWN_NUMBER)
