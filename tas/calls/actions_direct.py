"""Actions of direct calls: agent to agent, agent to outside, trunk to agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.contracts.calls import AgentCall, AgentCallPhase
from common.contracts.media import SessionModify
from common.contracts.outcome import Reason
from tas.calls import sessions, table
from tas.calls.outcomes import outcome, rejection, relayed_status, unreachable
from tas.errors import CallRefused
from tas.sip.events import UsageProgress

if TYPE_CHECKING:
    from tas.calls.call import Call

RING_S = 60.0
"""A directly called party rings at most this long."""


def open_callee(call: Call, _data: Any, now: float) -> None:
    """Ask for the called party's session, unless that was done together with the caller's."""
    if call.callee is None:
        try:
            call.control.find_callee(call)
        except CallRefused as refusal:
            _refuse(call, refusal.status, refusal.reason, now)
            call.control.finish(call, outcome(unreachable(call.destination)), now)
            return
        sessions.create_callee(call, now)
    if call.from_agent and call.callee is not None:
        call.control.tell(AgentCall(call.from_agent, call.uid, AgentCallPhase.DIALLING, call.callee.number))


def invite_callee(call: Call, _data: Any, now: float) -> None:
    """The session is there: call."""
    assert call.callee is not None
    call.control.invite(call, call.callee, now)
    call.set_timer(table.RING_OVER, RING_S, now)
    if call.agent:
        call.control.tell(AgentCall(call.agent, call.uid, AgentCallPhase.RINGING, call.caller.number))


def relay_progress(call: Call, data: Any, now: float) -> None:
    """180 or 183 to the caller; early media is bridged once (RFC 3960)."""
    assert isinstance(data, UsageProgress)
    callee, caller = call.callee, call.caller
    if callee is None or caller.usage is None:
        return
    if callee.rung_at is None and data.status in (180, 183):
        callee.rung_at = now
    if caller.answered_at is not None:
        return
    body = b""
    if data.body and caller.offer is not None:
        if not callee.early:
            try:
                negotiated = sessions.negotiate_answer(call, callee, data.body)
            except CallRefused:
                pass  # the final answer decides; until then the caller hears nothing
            else:
                callee.early = True
                bridge = SessionModify(callee.session, remote=negotiated.remote, bridge=caller.session)
                sessions.modify(call, bridge, now)
        if callee.early:
            body = sessions.answer_sdp(call, caller)
    caller.usage.progress(data.status, data.reason, body, now=now)


def answer_caller_for_callee(call: Call, _data: Any, now: float) -> None:
    """200 to the caller, who was answered before only when a menu brought the call here."""
    caller = call.caller
    if caller.answered_at is None and caller.usage is not None:
        caller.answered_at = now
        caller.usage.answer(sessions.answer_sdp(call, caller), now)
        call.control.observe_setup(call, now)


def report_talking(call: Call, _data: Any, _now: float) -> None:
    """Agents in this call are busy for the ACD."""
    if call.agent:
        call.control.tell(AgentCall(call.agent, call.uid, AgentCallPhase.TALKING, call.caller.number))
    if call.from_agent and call.callee is not None:
        call.control.tell(AgentCall(call.from_agent, call.uid, AgentCallPhase.TALKING, call.callee.number))


def _refuse(call: Call, status: int, reason: str, now: float, cause: bytes = b"") -> None:
    usage = call.caller.usage
    call.state = table.OVER
    if usage is None:
        return
    if call.caller.answered_at is None:
        headers = [(b"retry-after", b"5")] if status == 503 else []
        if cause:
            headers.append((b"reason", cause))
        usage.reject(status, reason.encode() if reason else None, headers, now=now)
    else:
        usage.end(now, reason_header=cause)


def relay_rejection(call: Call, data: Any, now: float) -> None:
    """The called party's final answer, `data` its status."""
    trunk = call.direction == "out"
    cause = call.callee.cause if call.callee is not None else b""
    what = rejection(int(data), trunk=trunk, said=cause)
    _refuse(call, relayed_status(int(data), trunk=trunk), "", now, cause)
    call.control.finish(call, what, now)


def relay_no_answer(call: Call, _data: Any, now: float) -> None:
    """Rang for RING_S."""
    _refuse(call, 480, "No answer", now)
    call.control.finish(call, outcome(Reason.NO_ANSWER), now)
