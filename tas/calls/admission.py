"""Taking in an INVITE: who calls, may they, where to, with which codec, on which media server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.contracts.ids import CALL_UID_RANDOM_BYTES, make_call_uid, make_leg_id
from common.contracts.outcome import Reason
from tas.calls import sessions
from tas.calls.call import Call
from tas.calls.leg import Leg
from tas.calls.outcomes import outcome, unreachable
from tas.calls.parties import session_policy
from tas.errors import CallRefused, SdpError
from tas.routing.router import Kind, NoRoute, Origin
from tas.routing.trunks import Trunk
from tas.sip.events import InviteReceived
from tas.sip.grammar import SipSyntaxError
from tas.sip.headers import parse_name_addr

if TYPE_CHECKING:
    from tas.calls.control import CallControl

RETRY_AFTER = (b"retry-after", b"5")


def admit(control: CallControl, event: InviteReceived, now: float) -> None:
    """Make a Call of an INVITE, or answer it."""
    usage, request, flow = event.usage, event.request, event.flow
    trunk = control.trunks.by_source(flow.remote[0])
    agent = ""
    if trunk is None:
        agent, refusal = control.registrar.authenticate(request, now, proxy=True)
        if refusal is not None:
            usage.reject(refusal.status, refusal.reason, refusal.headers, now=now)
            return
    refused = usage.settle_session(request, session_policy(trunk.entry if trunk else control.config.agents[agent]))
    if refused is not None:
        usage.reject(refused[0], None, refused[1], now=now)
        control.count_rejected(refused[0])
        return
    busy = control.no_room(trunk)
    if busy:
        usage.reject(503, busy, (RETRY_AFTER,), now=now)
        control.count_rejected(503)
        return
    try:
        call = _make_call(control, event, trunk, agent, now)
    except SipSyntaxError as error:
        usage.reject(400, f"Bad Request: {error}".encode(), now=now)
        return
    usage.owner = call
    control.calls[call.uid] = call
    if trunk is not None:
        trunk.channels += 1
    _place(control, call, event, now)


def _place(control: CallControl, call: Call, event: InviteReceived, now: float) -> None:
    body = event.request.body
    try:
        origin = Origin.AGENT if call.from_agent else Origin.TRUNK
        call.destination = control.router.route(call.called, origin)
        if body:
            sessions.negotiate_offer(call, call.caller, body)
    except NoRoute as nowhere:
        call.refuse(nowhere, outcome(nowhere.cause, sip_cause=nowhere.status), now)
        return
    except SdpError as error:
        reason = Reason.BAD_OFFER if error.status == 400 else Reason.NO_COMMON_CODEC
        call.refuse(error, outcome(reason, sip_cause=error.status), now)
        return
    if call.destination.kind is Kind.HANGUP:
        call.refuse(CallRefused(603, "Decline"), outcome(Reason.DECLINED), now)
    else:
        _open(control, call, now)


def _open(control: CallControl, call: Call, now: float) -> None:
    try:
        if not control.open_caller(call, now):
            call.refuse(CallRefused(503, "No media server has room"), outcome(Reason.MEDIA_FULL), now)
    except CallRefused as refusal:
        call.refuse(refusal, outcome(unreachable(call.destination)), now)


def _make_call(control: CallControl, event: InviteReceived, trunk: Trunk | None, agent: str, now: float) -> Call:
    request, flow = event.request, event.flow
    identity = request.from_
    if trunk is not None:
        asserted = request.values(b"p-asserted-identity")  # RFC 3325: believed, the trunk is in our trust domain
        if asserted:
            identity = parse_name_addr(asserted[0])
    number = agent or (identity.parsed_uri().user or b"anonymous").decode("utf-8", "replace")
    called = (request.parsed_uri().user or b"").decode("utf-8", "replace")
    wall = control.wall()
    uid = make_call_uid(control.node, int(wall * 1000), control.random(CALL_UID_RANDOM_BYTES))
    learn = trunk.entry.nat if trunk is not None else control.config.agents[agent].nat
    leg = Leg(make_leg_id(uid, 1), number, incoming=True, flow=flow, learn=learn)
    leg.usage = event.usage
    call = Call(control, uid, leg, called, now, wall)
    call.from_agent = agent
    call.from_display = identity.display
    call.trunk = trunk.name if trunk is not None else ""
    call.direction = "in" if trunk is not None else "internal"
    return call
