"""From work to rest and back: what an agent's offer, calls, wishes and wrap-up make of the state."""

from __future__ import annotations

from collections.abc import Callable

from agentbroker.acd.agents import BUSY, NOT_READY, WRAP_UP, Agent, Event, Wish
from agentbroker.acd.output import Output
from common.contracts.agents import Origin

Change = Callable[[Agent, float], None]


class Availability:
    """`changed` is Matching's; `log_off` is Logons', set when both are there."""

    log_off: Change

    def __init__(self, output: Output, changed: Change) -> None:
        self._output = output
        self._changed = changed

    def settle(self, agent: Agent, now: float, failed: str = "") -> None:
        """Offer or calls are others now; `failed` is why an offer came to nothing by the agent's fault."""
        if agent.engaged:
            if agent.engage(now):
                self._output.note(agent)
        elif agent.state in BUSY:
            self._rest(agent, now, failed)

    def logged_on(self, agent: Agent, now: float) -> None:
        """An agent is there, perhaps in the middle of a call."""
        if agent.engaged:
            self._output.note(agent)
            self.settle(agent, now)
        else:
            self._changed(agent, now)

    def _rest(self, agent: Agent, now: float, failed: str) -> None:
        resume, agent.resume = agent.resume, None
        wrap_s, agent.wrap_s = agent.wrap_s, None
        if not agent.devices:
            agent.step(Event.FREE, now)
            self.log_off(agent, now)
            return
        if failed:
            agent.step(Event.FREE_NOT_READY, now, failed)
            if agent.pending is not None and agent.pending.event is Event.SET_READY:
                agent.pending = None  # asked for before the phone was left ringing
        elif wrap_s:
            self._wrap(agent, now + wrap_s, now)
        elif resume is not None and resume.state is NOT_READY:
            agent.step(Event.FREE_NOT_READY, now, resume.reason, resume.origin)
        elif resume is not None and resume.state is WRAP_UP and agent.wrap_until > now:
            self._wrap(agent, agent.wrap_until, now)
        else:
            agent.step(Event.FREE, now)
            if wrap_s is not None:
                agent.idle_since = now
        self._grant(agent, now)
        self._changed(agent, now)

    def _wrap(self, agent: Agent, until: float, now: float) -> None:
        agent.step(Event.WRAP, now)
        agent.wrap_until = until
        self._output.deadlines.set("wrap", agent.number, until)

    def _grant(self, agent: Agent, now: float) -> None:
        """What was asked for during a call is due after its wrap-up."""
        if agent.state is not WRAP_UP and agent.pending is not None:
            wish, agent.pending = agent.pending, None
            agent.step(wish.event, now, wish.reason, wish.origin)

    def wrap_over(self, agent: Agent, now: float) -> None:
        """The time for the work after a call is over."""
        if agent.state is WRAP_UP and agent.wrap_until <= now:
            agent.step(Event.WRAP_OVER, now)
            agent.idle_since = now
            self._grant(agent, now)
            self._changed(agent, now)

    def set_state(self, agent: Agent, ready: bool, reason: str, origin: Origin, now: float) -> None:
        """A person asks for Ready or NotReady; during a call it is remembered for afterwards."""
        event = Event.SET_READY if ready else Event.SET_NOT_READY
        if agent.state in BUSY:
            agent.pending = Wish(event, reason, origin)
            return
        agent.pending = None
        if agent.step(event, now, reason, origin):
            if ready:
                agent.idle_since = now
            self._changed(agent, now)
