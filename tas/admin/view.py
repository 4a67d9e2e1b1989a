"""What the API shows of a node, and of the calls that ended last."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final

from common.contracts.calls import CallView, LadderStep, MediaServerView
from common.contracts.ids import CallUid
from tas.admin.traces import CallName
from tas.calls.call import Call
from tas.calls.records import view
from tas.node import Node
from tas.sip.trace import MessageTrace

ENDED_CALLS: Final = 1000
"""Ended calls that can still be looked at, with their ladders."""
SHOWN_CALLS: Final = 200


class View:
    """NodeView on a Node."""

    def __init__(self, node: Node, trace: MessageTrace, clock: Callable[[], float], after: Callable[[], None]) -> None:
        self._node = node
        self._trace = trace
        self._clock = clock
        self._after = after
        self._ended: OrderedDict[str, CallView] = OrderedDict()

    def call_ended(self, call: Call) -> None:
        """Keep a call that is over."""
        self._ended[call.uid] = view(call, self._clock())
        if len(self._ended) > ENDED_CALLS:
            self._ended.popitem(last=False)

    def node_view(self) -> dict[str, object]:
        """Counts are those of the leak assertion."""
        control = self._node.control
        return {
            "node": control.node,
            "state": "draining" if control.draining else "up",
            "calls": len(control.calls),
            "registrations": len(self._node.registrar.bindings),
            "bus": self._node.bus.connected,
            "epoch": self._node.highest_epoch,
            "refused_commands": self._node.refused_commands,
            "counts": self._node.counts(),
            "trace_taps": self._trace.taps,
            "tasks": len(asyncio.all_tasks()),
            "descriptors": len(os.listdir("/proc/self/fd")),
            "trunks": {
                trunk.name: {"up": trunk.up, "channels": trunk.channels} for trunk in self._node.trunks.by_name.values()
            },
        }

    def call_views(self) -> list[CallView]:
        """Living calls first, then the last ones that ended."""
        now = self._clock()
        alive = [view(call, now) for call in self._node.control.calls.values()]
        ended = list(self._ended.values())[::-1]
        return (alive + ended)[:SHOWN_CALLS]

    def call_view(self, call_uid: str) -> CallView | None:
        """A living call, or one that ended lately."""
        call = self._node.control.calls.get(CallUid(call_uid))
        return view(call, self._clock()) if call is not None else self._ended.get(call_uid)

    def ladder(self, call_uid: str) -> list[LadderStep] | None:
        """Messages of all legs, by time."""
        found = self.call_view(call_uid)
        if found is None:
            return None
        steps = []
        for leg in found.legs:
            for traced in self._trace.get(leg.sip_call_id.encode()):
                line = traced.line.decode("utf-8", "replace")
                peer = f"{traced.peer[0]}:{traced.peer[1]}"
                cseq = traced.cseq.decode("ascii", "replace")
                steps.append(LadderStep(traced.at, leg.leg_id, traced.sent, peer, line, cseq))
        steps.sort(key=lambda step: step.at_s)
        start = steps[0].at_s if steps else 0.0
        return [
            LadderStep(round(step.at_s - start, 6), step.leg_id, step.sent, step.peer, step.first_line, step.cseq)
            for step in steps
        ]

    def call_names(self) -> Iterator[tuple[str, CallName]]:
        """(SIP Call-ID, name) of every leg, those of ended calls first: a living call is right where both have one."""
        for ended in self._ended.values():
            name = CallName(ended.call_uid, ended.caller, ended.called)
            for leg in ended.legs:
                yield leg.sip_call_id, name
        for call in self._node.control.calls.values():
            name = CallName(call.uid, call.caller.number, call.called)
            for past in call.past_legs:
                yield past.sip_call_id, name
            for living in (call.caller, call.callee):
                if living is not None and living.usage is not None:
                    yield living.usage.call_id.decode("utf-8", "replace"), name

    def media_views(self) -> list[MediaServerView]:
        """The pool."""
        return [link.view() for link in self._node.control.pool.links]

    def hang_up(self, call_uid: str) -> bool:
        """End a call; what it sends goes out in this turn of the loop."""
        done = self._node.control.hang_up(call_uid, self._clock())
        self._after()
        return done

    def set_draining(self, draining: bool) -> None:
        """See NodeView."""
        self._node.control.draining = draining
        self._after()
