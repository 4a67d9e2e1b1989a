"""What a usage is made of, and how it puts messages of its dialog on the wire."""

from __future__ import annotations

from tas.sip.core import Core
from tas.sip.dialog import Dialog
from tas.sip.events import Event
from tas.sip.flow import Flow, Send
from tas.sip.heads import RequestHead
from tas.sip.invite.answered import Answered
from tas.sip.invite.exchange import Exchange
from tas.sip.invite.session import Session
from tas.sip.invite.terms import ACCEPT_ONLY
from tas.sip.message import Response
from tas.sip.transaction.client import ClientUser
from tas.sip.transaction.invite_client import InviteClient
from tas.sip.transaction.invite_server import InviteServer
from tas.sip.transaction.non_invite_client import NonInviteClient
from tas.sip.transaction.server import ServerTransaction

CONTENT_SDP = b"\r\nContent-Type: application/sdp"


FirstInvite = tuple[bytes, bytes, bytes, int]
"""Our INVITE as its user asked for it: To, header lines, body, and how often it was sent."""


class UsageBase:
    """State of one usage and the messages it sends."""

    __slots__ = (
        "_acks", "_answered", "_body", "_cancelled", "_early", "_exchange", "_extra", "_flow", "_head", "_invite",
        "_reason", "_session", "_status", "_transaction", "call_id", "core", "dialog", "has_offer", "key", "local_tag",
        "owner", "policy", "state",
    )  # fmt: skip

    def __init__(self, core: Core, key: int, call_id: bytes, local_tag: bytes, state: str, flow: Flow) -> None:
        self.core = core
        self.key = key
        self.call_id = call_id
        self.local_tag = local_tag
        self.state = state
        self.owner: object | None = None
        """Set by the layer's user; cleared once the usage is over and its last event was fetched."""
        self.dialog: Dialog | None = None
        self.has_offer = False
        """Whether the INVITE carried a body."""
        self._flow = flow
        self._head: RequestHead | None = None
        self._transaction: InviteClient | InviteServer | None = None
        self._exchange: Exchange | None = None
        self._answered: Answered | None = None
        self._early: dict[bytes, Response] | None = None
        """The latest provisional of each early dialog of our INVITE, by To-tag."""
        self._acks: dict[bytes, Send] | None = None
        """Our ACK of each 2xx to our INVITE, by To-tag, for repetitions."""
        self._cancelled = False
        self.policy = ACCEPT_ONLY
        """What we want of session timers."""
        self._session: Session | None = None
        self._invite: FirstInvite | None = None
        """What our INVITE is made of, until it is answered."""
        # What the step under way sends or reports.
        self._status = 0
        self._reason: bytes | None = None
        self._extra = b""
        self._body = b""

    @property
    def remote_target(self) -> bytes:
        """The peer's Contact URI, empty while there is no dialog."""
        return self.dialog.target if self.dialog is not None else b""

    def emit(self, event: Event) -> None:
        """Tell the layer's user."""
        self.core.events.append(event)

    def send_response(
        self, transaction: ServerTransaction, status: int, reason: bytes | None, extra: bytes, body: bytes, now: float
    ) -> bool:
        """Respond to an INVITE or UPDATE: Contact and Allow where they belong (RFC 3261 table 2)."""
        core = self.core
        if status < 300:
            extra = core.contacts[transaction.flow.transport] + core.capabilities + extra
            if status >= 200 and self._session is not None:
                extra += self._session.accepted(now)
        if body:
            extra += CONTENT_SDP
        return transaction.respond(status, reason, core.server + extra, body, now=now)

    def send_ack(self, dialog: Dialog, cseq: int, body: bytes, now: float) -> Send:
        """Acknowledge a 2xx: a new branch, outside any transaction (§13.2.2.4)."""
        core = self.core
        flow = dialog.next_flow()
        head = dialog.head(core.vias[flow.transport], core.tokens.branch(), cseq)
        data = head.render(b"ACK", core.identity + CONTENT_SDP if body else core.identity, body)
        core.send(flow, data, self.call_id, now)
        return Send(flow, data)

    def send_bye(self, dialog: Dialog, user: ClientUser | None, now: float) -> None:
        """End a dialog."""
        core = self.core
        flow = dialog.next_flow()
        dialog.local_cseq += 1
        head = dialog.head(core.vias[flow.transport], core.tokens.branch(), dialog.local_cseq)
        data = head.render(b"BYE", core.identity + self._extra)
        NonInviteClient(core, b"BYE", head, flow, data, user, now)

    def send_invite(self, body: bytes, user: ClientUser, now: float) -> InviteClient:
        """Send a re-INVITE."""
        core = self.core
        dialog = self.dialog
        assert dialog is not None
        flow = dialog.next_flow()
        dialog.local_cseq += 1
        head = dialog.head(core.vias[flow.transport], core.tokens.branch(), dialog.local_cseq)
        extra = self._refreshing(flow)
        data = head.render(b"INVITE", extra + CONTENT_SDP if body else extra, body)
        return InviteClient(core, head, flow, data, user, now)

    def send_update(self, user: ClientUser, now: float) -> None:
        """Send an UPDATE without an offer."""
        core = self.core
        dialog = self.dialog
        assert dialog is not None
        flow = dialog.next_flow()
        dialog.local_cseq += 1
        head = dialog.head(core.vias[flow.transport], core.tokens.branch(), dialog.local_cseq)
        NonInviteClient(core, b"UPDATE", head, flow, head.render(b"UPDATE", self._refreshing(flow)), user, now)

    def _refreshing(self, flow: Flow) -> bytes:
        """Header lines of a target refresh request, which refreshes the session too."""
        core = self.core
        extra = core.contacts[flow.transport] + core.capabilities + core.identity
        return extra + self._session.request_lines() if self._session is not None else extra
