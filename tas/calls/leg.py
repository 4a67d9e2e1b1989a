"""One leg of a call: a dialog and the media session that belongs to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.contracts.calls import LegView
from common.contracts.ids import LegId, SessionId
from tas.sip.invite.terms import ACCEPT_ONLY

if TYPE_CHECKING:
    from tas.media.link import MediaLink
    from tas.sdp import Negotiated, SessionDescription
    from tas.sip.flow import Flow
    from tas.sip.invite.usage import InviteUsage


class Leg:
    """Plain state; the actions change it. `usage` is None until an INVITE came or was sent."""

    __slots__ = (
        "address", "answered_at", "early", "flow", "incoming", "learn", "leg_id", "link", "negotiated", "number",
        "offer", "port", "route", "rung_at", "sdp_version", "timer", "uri", "usage",
    )  # fmt: skip

    def __init__(self, leg_id: LegId, number: str, *, incoming: bool, flow: Flow | None, learn: bool) -> None:
        self.leg_id = leg_id
        self.number = number
        self.incoming = incoming
        self.flow = flow
        self.learn = learn
        self.uri = b""
        """Request-URI of a called leg."""
        self.route = b""
        """Route of a called leg whose phone is on a connection of another node."""
        self.timer = ACCEPT_ONLY
        """What to ask of the called party's session timer."""
        self.usage: InviteUsage | None = None
        self.link: MediaLink | None = None
        """The media server that has (or is asked for) this leg's session."""
        self.address = ""
        self.port = 0
        """0 until the media server gave one."""
        self.offer: SessionDescription | None = None
        """The peer's latest offer; None: it asks for ours (late offer)."""
        self.negotiated: Negotiated | None = None
        self.sdp_version = 1
        self.early = False
        """Early media of this (called) leg is already bridged."""
        self.rung_at: float | None = None
        self.answered_at: float | None = None

    @property
    def session(self) -> SessionId:
        """The media session's id."""
        return SessionId(self.leg_id)

    @property
    def peer(self) -> str:
        """ip:port of the other end."""
        return f"{self.flow.remote[0]}:{self.flow.remote[1]}" if self.flow is not None else ""

    @property
    def codec(self) -> str:
        """The negotiated codec's name, empty before."""
        return str(self.negotiated.remote.codec) if self.negotiated is not None else ""

    def view(self) -> LegView:
        """As the HTTP API shows it."""
        usage = self.usage
        return LegView(
            leg_id=self.leg_id,
            sip_call_id=usage.call_id.decode("utf-8", "replace") if usage is not None else "",
            peer=self.peer,
            direction="in" if self.incoming else "out",
            state=usage.state if usage is not None else "opening",
            media=self.link.name if self.link is not None else "",
            codec=self.codec,
        )
