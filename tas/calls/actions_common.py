"""Actions every kind of call has: answering the caller, bridging, the endings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.contracts.media import SessionModify
from common.contracts.outcome import Outcome, Reason, Result
from tas.calls import sessions
from tas.calls.outcomes import outcome

if TYPE_CHECKING:
    from tas.calls.call import Call

BYE_CAUSE_NORMAL = b'Q.850;cause=16;text="Normal call clearing"'
ELSEWHERE = b'SIP;cause=487;text="Caller gone"'


def answer_caller(call: Call, _data: Any, now: float) -> None:
    """200 to the caller of a treatment or queue; a late offer's answer comes with the ACK."""
    assert call.caller.usage is not None
    call.caller.answered_at = now
    call.caller.usage.answer(sessions.answer_sdp(call, call.caller), now)
    call.control.observe_setup(call, now)


def connect(call: Call, _data: Any, now: float) -> None:
    """The called party answered: bridge; whatever the caller heard stops in the same tick."""
    callee = call.callee
    assert callee is not None
    assert callee.negotiated is not None
    callee.answered_at = call.answered_at = now
    for name in list(call.timers):
        call.clear_timer(name)
    request = SessionModify(callee.session, remote=callee.negotiated.remote, bridge=call.caller.session)
    sessions.modify(call, request, now)


def stop_ringing(call: Call, _data: Any, now: float) -> None:
    """CANCEL the called leg and let it go; a 200 that crosses it is ended inside the layer."""
    leg = call.callee
    if leg is None:
        return
    if leg.usage is not None:
        leg.usage.end(now, reason_header=call.caller.cause or ELSEWHERE)
    sessions.delete(call, leg, now)
    if call.queue == "":
        call.control.tell_agent_ended(call, call.agent)
    call.release_callee()


def end_caller(call: Call, now: float, status: int = 480, reason: bytes = b"") -> None:
    """BYE when answered, else the final answer `status`; `reason` is the Reason header of the other leg."""
    if call.caller.usage is not None:
        call.caller.usage.end(now, status=status, reason_header=reason)


def end_callee(call: Call, now: float, reason: bytes) -> None:
    """BYE or CANCEL for the called leg."""
    if call.callee is not None and call.callee.usage is not None:
        call.callee.usage.end(now, reason_header=reason)


def _finish_both(call: Call, what: Outcome, now: float) -> None:
    reason = b"Q.850;cause=%d" % what.q850_cause
    end_callee(call, now, reason)
    end_caller(call, now, what.sip_cause if what.sip_cause >= 300 else 480, reason)
    call.control.finish(call, what, now)


def end_abandoned(call: Call, _data: Any, now: float) -> None:
    """The caller went before anybody answered."""
    reason = Reason.CALLER_HANGUP if call.caller.answered_at is not None else Reason.CALLER_CANCELLED
    call.control.finish(call, outcome(reason, result=Result.ABANDONED, said=call.caller.cause), now)


def end_completed(call: Call, _data: Any, now: float) -> None:
    """The caller left a menu or the echo test."""
    call.control.finish(call, outcome(Reason.COMPLETED, said=call.caller.cause), now)


def end_caller_hung_up(call: Call, _data: Any, now: float) -> None:
    """BYE from the caller."""
    cause = call.caller.cause
    end_callee(call, now, cause or BYE_CAUSE_NORMAL)
    call.control.finish(call, outcome(Reason.CALLER_HANGUP, said=cause), now)


def end_callee_hung_up(call: Call, _data: Any, now: float) -> None:
    """BYE from the called party."""
    cause = call.callee.cause if call.callee is not None else b""
    end_caller(call, now, reason=cause or BYE_CAUSE_NORMAL)
    reason = Reason.AGENT_HANGUP if call.queue else Reason.CALLED_HANGUP
    call.control.finish(call, outcome(reason, said=cause), now)


def end_lost(call: Call, _data: Any, now: float) -> None:
    """A dialog was lost: no ACK, or no answer to a request inside it."""
    _finish_both(call, outcome(Reason.SIGNALLING_TIMEOUT), now)


def end_by_order(call: Call, data: Any, now: float) -> None:
    """tasctl, the console, our own end, or a menu's hangup (then `data` is its reason)."""
    if isinstance(data, Reason):
        _finish_both(call, outcome(data), now)
    elif call.answered_at is not None or (call.caller.answered_at is not None and not call.queue):
        _finish_both(call, outcome(Reason.COMPLETED), now)
    else:  # a caller who only waited was not served
        _finish_both(call, outcome(Reason.SHUTDOWN), now)


def end_without_media(call: Call, _data: Any, now: float) -> None:
    """The media server died under the call."""
    call.caller.link = None
    _finish_both(call, outcome(Reason.MEDIA_LOST), now)


def end_silent(call: Call, _data: Any, now: float) -> None:
    """No RTP for longer than the media server allows."""
    _finish_both(call, outcome(Reason.RTP_TIMEOUT), now)


def refuse_without_media(call: Call, _data: Any, now: float) -> None:
    """No media server has room: 503, so that the call manager takes its other route."""
    usage = call.caller.usage
    if usage is not None and call.caller.answered_at is None:
        usage.reject(503, b"No media server has room", ((b"retry-after", b"5"),), now=now)
    elif usage is not None:
        usage.end(now)
    call.control.finish(call, outcome(Reason.MEDIA_FULL), now)
