"""Actions of queued calls: waiting, offers to agents, their reports to the agent broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.contracts.calls import (
    AgentCall,
    AgentCallPhase,
    CallDequeued,
    CallQueued,
    Offer,
    OfferReport,
    OfferResult,
    QueueRefused,
)
from common.contracts.media import SessionModify
from common.contracts.outcome import Reason
from tas.calls import sessions, table
from tas.calls.actions_common import end_caller
from tas.calls.outcomes import outcome

if TYPE_CHECKING:
    from tas.calls.call import Call


def play_queue(call: Call, _data: Any, now: float) -> None:
    """Welcome and music for a caller who comes from a menu."""
    play = sessions.queue_play(call)
    sessions.modify(call, SessionModify(call.caller.session, echo=False, stop_play=play is None, play=play), now)


def join_queue(call: Call, _data: Any, now: float) -> None:
    """Tell the broker at once: agents ring while the welcome plays."""
    call.queue = call.destination.name
    call.queued_at = now
    max_wait_s = call.control.config.queues[call.queue].max_wait_s
    if max_wait_s:
        call.set_timer(table.WAIT_OVER, max_wait_s, now)
    call.control.tell(queued_event(call, now))


def queued_event(call: Call, now: float) -> CallQueued:
    """The call's place as the broker hears of it."""
    waited = now - call.queued_at if call.queued_at is not None else 0.0
    return CallQueued(call.uid, call.queue, call.caller.number, waited, call.called)


def leave_queue(call: Call, _data: Any, now: float) -> None:
    """The call is in no queue any more."""
    waited = now - call.queued_at if call.queued_at is not None else 0.0
    call.control.tell(CallDequeued(call.uid, call.queue, "left", waited))


def open_agent(call: Call, data: Any, now: float) -> None:
    """An offer: a session on the caller's media server for the agent's leg."""
    assert isinstance(data, Offer)
    call.offer = data
    call.agent = data.agent
    leg = call.control.agent_leg(call, data.agent)
    call.callee = leg
    if leg is None:
        _report(call, OfferResult.UNREACHABLE, "no binding")
        call.state = table.QUEUED
        return
    leg.link = call.caller.link
    sessions.create(call, leg, now)


def invite_agent(call: Call, _data: Any, now: float) -> None:
    """The session is there: ring the phone, show the caller."""
    assert call.callee is not None
    assert call.offer is not None
    call.control.invite(call, call.callee, now)
    call.set_timer(table.RING_OVER, call.offer.ring_timeout_s, now)


def _report(call: Call, result: OfferResult, detail: str = "") -> None:
    offer = call.offer
    if offer is None:
        return
    call.control.tell(OfferReport(offer.offer, call.uid, offer.agent, result, detail))
    if result is not OfferResult.RINGING:
        call.offer = None
        call.clear_timer(table.RING_OVER)


def _forget_agent(call: Call, now: float) -> None:
    leg = call.callee
    if leg is not None:
        sessions.delete(call, leg, now)
    call.release_callee()
    call.agent = ""


def report_ringing(call: Call, _data: Any, now: float) -> None:
    """18x from the phone; repeated ones are not reported."""
    if call.callee is not None and call.callee.rung_at is None:
        call.callee.rung_at = now
        _report(call, OfferResult.RINGING)


def report_answered(call: Call, _data: Any, _now: float) -> None:
    """The agent has the call."""
    _report(call, OfferResult.ANSWERED)
    call.control.tell(AgentCall(call.agent, call.uid, AgentCallPhase.TALKING, call.caller.number, call.queue))


def report_no_answer(call: Call, _data: Any, _now: float) -> None:
    """Ring time over: nobody came, or the phone did not even ring."""
    rang = call.callee is not None and call.callee.rung_at is not None
    call.agent = ""
    if rang:
        _report(call, OfferResult.NO_ANSWER)
    else:
        _report(call, OfferResult.UNREACHABLE, "the phone did not ring")


def report_rejected(call: Call, data: Any, now: float) -> None:
    """A final answer of the phone, `data` its status."""
    _forget_agent(call, now)
    status = int(data)
    if status in (486, 600):
        _report(call, OfferResult.BUSY, str(status))
    elif status in (480, 488, 603, 606):
        _report(call, OfferResult.DECLINED, str(status))
    else:
        _report(call, OfferResult.UNREACHABLE, str(status))


def report_refused(call: Call, data: Any, now: float) -> None:
    """No session for the agent's leg: not the agent's fault."""
    call.release_callee()
    call.agent = ""
    _report(call, OfferResult.REFUSED, f"media: {data.message}")


def report_cancelled(call: Call, _data: Any, _now: float) -> None:
    """The broker took the offer back; the call waits on."""
    call.agent = ""
    _report(call, OfferResult.REFUSED, "cancelled")


def report_caller_gone(call: Call, _data: Any, _now: float) -> None:
    """The caller left while the phone rang."""
    call.agent = ""
    _report(call, OfferResult.CALLER_GONE)


def end_refused_by_queue(call: Call, data: Any, now: float) -> None:
    """The broker does not take the call: maxlen, joinempty."""
    assert isinstance(data, QueueRefused)
    reason = Reason.QUEUE_FULL if data.reason == "full" else Reason.QUEUE_UNAVAILABLE
    end_caller(call, now)
    call.control.finish(call, outcome(reason), now)


def end_waited(call: Call, _data: Any, now: float) -> None:
    """max_wait_s is over."""
    end_caller(call, now)
    call.control.finish(call, outcome(Reason.QUEUE_TIMEOUT), now)
