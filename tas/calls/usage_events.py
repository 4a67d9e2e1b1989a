"""From SIP events of a leg to events of its call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from common.contracts.media import Digit, FirstPacket, PlayFinished, RtpTimeout, SendDigits, SessionModify
from tas.calls import sessions, table
from tas.calls.call import Call
from tas.calls.leg import Leg
from tas.errors import SdpError
from tas.sip.events import (
    EndCause,
    UsageAnswered,
    UsageConfirmed,
    UsageEnded,
    UsageInfo,
    UsageProgress,
    UsageReinviteDone,
    UsageRejected,
    UsageReoffered,
)

Handler = Callable[[Call, Leg, Any, float], None]
DTMF: Final = b"application/dtmf"
DTMF_RELAY: Final = b"application/dtmf-relay"
DTMF_DIGITS: Final = frozenset("0123456789*#ABCD")


def on_progress(call: Call, leg: Leg, event: UsageProgress, now: float) -> None:
    """18x of a called leg."""
    call.feed(table.PROGRESS, event, now)


def on_answered(call: Call, leg: Leg, event: UsageAnswered, now: float) -> None:
    """2xx of a called leg; one whose SDP cannot be used counts as a refusal with 488."""
    try:
        sessions.negotiate_answer(call, leg, event.body)
    except SdpError:
        if leg.usage is not None:
            leg.usage.end(now)
        call.feed(table.REJECTED, 488, now)
        return
    call.feed(table.ANSWERED, event, now)


def on_rejected(call: Call, leg: Leg, event: UsageRejected, now: float) -> None:
    """Final refusal of a called leg."""
    call.feed(table.REJECTED, event.status, now)


def on_confirmed(call: Call, leg: Leg, event: UsageConfirmed, now: float) -> None:
    """ACK of our 2xx; to a late offer it brings the answer, and only now media can flow."""
    if not event.body or leg.offer is not None:
        return
    try:
        negotiated = sessions.negotiate_answer(call, leg, event.body)
    except SdpError:
        if leg.usage is not None:
            leg.usage.end(now)
        call.feed(table.CALLER_GONE if leg is call.caller else table.CALLEE_GONE, None, now)
        return
    sessions.modify(call, SessionModify(leg.session, remote=negotiated.remote), now)


def on_reoffered(call: Call, leg: Leg, event: UsageReoffered, now: float) -> None:
    """re-INVITE or UPDATE of a peer: hold, retrieve, a new address; answered here, the other leg hears of it in RTP."""
    assert leg.usage is not None
    leg.sdp_version += 1
    if not event.body:
        leg.offer = None
        leg.usage.answer(sessions.offer_sdp(call, leg), now)
        return
    try:
        sessions.negotiate_offer(call, leg, event.body)
    except SdpError as error:
        leg.sdp_version -= 1
        leg.usage.reject(error.status, error.reason.encode(), now=now)
        return
    assert leg.negotiated is not None
    sessions.modify(call, SessionModify(leg.session, remote=leg.negotiated.remote), now)
    leg.usage.answer(sessions.answer_sdp(call, leg), now)


def on_reinvite_done(call: Call, leg: Leg, event: UsageReinviteDone, now: float) -> None:
    """Our re-INVITE, which only refreshes the session (RFC 4028): its answer may still show that the peer has moved."""
    if not event.body or leg.negotiated is None:
        return
    before = leg.negotiated.remote
    try:
        negotiated = sessions.negotiate_answer(call, leg, event.body)
    except SdpError:
        return  # the session stays as it was
    if negotiated.remote != before:
        sessions.modify(call, SessionModify(leg.session, remote=negotiated.remote), now)


def on_info(call: Call, leg: Leg, event: UsageInfo, now: float) -> None:
    """Digits by INFO: for a menu as if pressed, for a bridged call sent on as RFC 4733."""
    digit = _digit_of(event)
    if digit not in DTMF_DIGITS:
        return
    other = call.callee if leg is call.caller else call.caller
    if call.state == table.TALKING and other is not None and leg.link is not None:
        leg.link.request("session.digits", SendDigits(other.session, digit), call, "modify", now)
    elif leg is call.caller:
        call.feed(table.DIGIT, digit, now)


def _digit_of(event: UsageInfo) -> str:
    """`5` of application/dtmf, or what `Signal=5` says in application/dtmf-relay; else empty."""
    signal = event.body.strip() if event.content_type == DTMF else b""
    for line in event.body.splitlines() if event.content_type == DTMF_RELAY else ():
        name, _, value = line.partition(b"=")
        if name.strip().lower() == b"signal":
            signal = value.strip()
    return signal.decode("ascii", "replace").upper()


def on_ended(call: Call, leg: Leg, event: UsageEnded, now: float) -> None:
    """BYE, CANCEL, or a dialog that was lost."""
    lost = event.cause in (EndCause.NO_ACK, EndCause.TIMEOUT, EndCause.TRANSPORT)
    if leg is call.caller:
        call.feed(table.CALLER_LOST if lost else table.CALLER_GONE, event, now)
    elif call.state == table.TALKING:
        call.feed(table.CALLEE_LOST if lost else table.CALLEE_GONE, event, now)
    else:  # RFC 3261 15: a BYE inside the early dialog, instead of a final answer
        call.feed(table.REJECTED, 480, now)


HANDLERS: Final[dict[type, Handler]] = {
    UsageProgress: on_progress,
    UsageAnswered: on_answered,
    UsageRejected: on_rejected,
    UsageConfirmed: on_confirmed,
    UsageReoffered: on_reoffered,
    UsageReinviteDone: on_reinvite_done,
    UsageInfo: on_info,
    UsageEnded: on_ended,
}


def on_digit(call: Call, leg: Leg, notification: Digit, now: float) -> None:
    """RFC 4733 digit; between two bridged parties the media server passes it on by itself."""
    if leg is call.caller:
        call.feed(table.DIGIT, notification.digit, now)


def on_play_finished(call: Call, leg: Leg, notification: PlayFinished, now: float) -> None:
    """A prompt is over."""
    call.feed(table.PLAYED, notification.play_id, now)


def on_first_packet(call: Call, leg: Leg, notification: FirstPacket, now: float) -> None:
    """Of interest to people who look at the media server."""


def on_rtp_timeout(call: Call, leg: Leg, notification: RtpTimeout, now: float) -> None:
    """A leg that should be heard is silent for too long."""
    call.feed(table.SILENT, notification, now)


NOTIFICATIONS: Final[dict[type, Handler]] = {
    Digit: on_digit,
    PlayFinished: on_play_finished,
    FirstPacket: on_first_packet,
    RtpTimeout: on_rtp_timeout,
}
