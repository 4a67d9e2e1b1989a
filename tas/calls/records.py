"""What is told and written when a call ends, and what is shown while it lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.contracts.calls import AgentCall, AgentCallPhase, CallEnded, CallView
from tas.calls import table
from tas.cdr.model import CdrRow

if TYPE_CHECKING:
    from tas.calls.call import Call
    from tas.calls.control import CallControl


def tell_end(control: CallControl, call: Call) -> None:
    """The brokers hear of the end before the sessions are gone: agents are free now."""
    control.tell_agent_ended(call, call.agent)
    control.tell_agent_ended(call, call.from_agent)
    assert call.outcome is not None
    control.tell(CallEnded(call.uid, call.queue, call.outcome.result, call.outcome.reason))


def make_cdr(call: Call) -> CdrRow:
    """The call's one row."""
    assert call.outcome is not None
    assert call.ended_at is not None
    answered, ended, callee = call.answered_at, call.ended_at, call.callee
    to_wall = call.started_wall - call.started_at
    waited_until = answered if answered is not None else ended
    return CdrRow(
        call_uid=call.uid,
        node=call.control.node,
        direction=call.direction,
        caller=call.caller.number,
        called=call.called,
        trunk=call.trunk,
        queue=call.queue,
        agent=call.agent or call.from_agent,
        started_at=round(call.started_wall, 3),
        queued_at=None if call.queued_at is None else round(to_wall + call.queued_at, 3),
        answered_at=None if answered is None else round(to_wall + answered, 3),
        ended_at=round(to_wall + ended, 3),
        wait_s=0.0 if call.queued_at is None else round(waited_until - call.queued_at, 3),
        ring_s=0.0 if callee is None or callee.rung_at is None else round(waited_until - callee.rung_at, 3),
        talk_s=0.0 if answered is None else round(ended - answered, 3),
        result=call.outcome.result,
        reason=call.outcome.reason,
        sip_cause=call.outcome.sip_cause,
        q850_cause=call.outcome.q850_cause,
        media_server=call.media_server,
        codec_a=call.caller.codec,
        codec_b="" if callee is None else callee.codec,
        packets_lost=call.packets_lost,
    )


def view(call: Call, now: float) -> CallView:
    """The call as the HTTP API shows it."""
    callee = [] if call.callee is None else [call.callee.view()]
    return CallView(
        call_uid=call.uid,
        node=call.control.node,
        state=call.state,
        caller=call.caller.number,
        called=call.called,
        queue=call.queue,
        agent=call.agent or call.from_agent,
        duration_s=round((call.ended_at if call.ended_at is not None else now) - call.started_at, 3),
        legs=[call.caller.view(), *call.past_legs, *callee],
        outcome="" if call.outcome is None else f"{call.outcome.result}: {call.outcome.reason}",
    )


def agent_calls(call: Call) -> list[AgentCall]:
    """An agent's part in a call, for a Snapshot."""
    if call.state == table.OVER:
        return []
    talking = call.state == table.TALKING
    found = []
    if call.agent and call.state in (table.TALKING, table.DIALLING):
        phase = AgentCallPhase.TALKING if talking else AgentCallPhase.RINGING
        found.append(AgentCall(call.agent, call.uid, phase, call.caller.number, call.queue))
    if call.from_agent:
        phase = AgentCallPhase.TALKING if talking else AgentCallPhase.DIALLING
        found.append(AgentCall(call.from_agent, call.uid, phase, call.called))
    return found
