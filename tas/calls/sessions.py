"""What calls ask of media servers and write into SDP, shared by all actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.contracts.ids import SessionId
from common.contracts.media import Codec, Play, SessionCreate, SessionDelete, SessionModify
from tas.sdp import Negotiated, parse_sdp, render_answer, render_offer
from tas.sdp.negotiate import accept_answer, choose

if TYPE_CHECKING:
    from tas.calls.call import Call
    from tas.calls.leg import Leg


def create(call: Call, leg: Leg, now: float, *, play: Play | None = None, echo: bool = False) -> None:
    """Ask `leg.link` for a session, with all that is known already."""
    assert leg.link is not None
    leg.link.placed += 1
    leg.link.taken_total += 1
    remote = leg.negotiated.remote if leg.negotiated is not None else None
    request = SessionCreate(leg.session, call.uid, remote=remote, play=play, echo=echo)
    leg.link.request("session.create", request, call, leg.leg_id, now)


def create_callee(call: Call, now: float) -> None:
    """Ask for the called leg's session on the caller's media server."""
    assert call.callee is not None
    call.callee.link = call.caller.link
    create(call, call.callee, now)


def modify(call: Call, request: SessionModify, now: float) -> None:
    """Change a session of this call."""
    link = call.caller.link
    if link is not None:
        link.request("session.modify", request, call, "modify", now)


def delete(call: Call, leg: Leg, now: float) -> None:
    """Give one leg's session back while the call goes on."""
    if leg.link is not None:
        leg.link.request("session.delete", SessionDelete([leg.session]), None, "", now)


def delete_all(call: Call, now: float) -> bool:
    """Give all sessions back; the reply closes the call. False when there is none."""
    link = call.caller.link
    if link is None:
        return False
    sessions: list[SessionId] = [call.caller.session]
    if call.callee is not None:
        sessions.append(call.callee.session)
    link.request("session.delete", SessionDelete(sessions), call, "delete", now)
    return True


def play_of(call: Call, files: list[str], loop_from: int | None, *, interruptible: bool = False) -> Play | None:
    """A Play with the call's next play id; None when there is nothing to play."""
    if not files:
        return None
    call.play_id += 1
    return Play(call.play_id, files, loop_from, interruptible)


def queue_play(call: Call) -> Play | None:
    """Welcome once, then music for ever (docs/adr/0002)."""
    entry = call.control.config.queues[call.destination.name]
    files = ([entry.welcome] if entry.welcome else []) + entry.music
    loop_from = None if not entry.music else len(files) - len(entry.music)
    return play_of(call, files, loop_from)


def menu_play(call: Call) -> Play | None:
    """A menu's prompt; any digit stops it."""
    menu = call.control.router.menus[call.destination.name]
    return play_of(call, [menu.prompt], None, interruptible=True)


def allowed_codecs(call: Call, leg: Leg) -> tuple[Codec, ...]:
    """Codecs the leg's trunk allows; all of ours for an agent's leg."""
    over_trunk = leg.incoming == (call.direction == "in")
    return call.control.codecs_of(call.trunk if over_trunk else "")


def codecs_for(call: Call, leg: Leg) -> tuple[Codec, ...]:
    """Codecs to offer on a leg: the caller's first, so that packets can be relayed untouched."""
    allowed = allowed_codecs(call, leg)
    chosen = call.caller.negotiated
    if chosen is None or chosen.remote.codec not in allowed:
        return allowed
    return (chosen.remote.codec, *[codec for codec in allowed if codec is not chosen.remote.codec])


def offer_sdp(call: Call, leg: Leg) -> bytes:
    """Our offer on a leg."""
    return render_offer(
        address=leg.address,
        port=leg.port,
        codecs=codecs_for(call, leg),
        session_id=call.control.sdp_session_id(leg),
        version=leg.sdp_version,
    )


def answer_sdp(call: Call, leg: Leg) -> bytes:
    """Our answer to the leg's offer, or our offer when it made none (late offer)."""
    if leg.offer is None or leg.negotiated is None:
        return offer_sdp(call, leg)
    return render_answer(
        leg.offer,
        leg.negotiated,
        address=leg.address,
        port=leg.port,
        session_id=call.control.sdp_session_id(leg),
        version=leg.sdp_version,
    )


def negotiate_offer(call: Call, leg: Leg, body: bytes) -> None:
    """Take the peer's offer; raises SdpError and changes nothing then."""
    offer = parse_sdp(body)
    leg.negotiated = choose(offer, allowed_codecs(call, leg), learn=leg.learn)
    leg.offer = offer


def negotiate_answer(call: Call, leg: Leg, body: bytes) -> Negotiated:
    """Take the peer's answer to our offer; raises SdpError and changes nothing then."""
    negotiated = accept_answer(parse_sdp(body), allowed_codecs(call, leg), learn=leg.learn)
    leg.negotiated = negotiated
    return negotiated
