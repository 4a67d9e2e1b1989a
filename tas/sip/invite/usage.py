"""One INVITE usage: what the user of the layer holds of a call leg. Its life is the table in `table.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from tas.sip.core import Core
from tas.sip.dialog import Dialog, dialog_as_client, dialog_as_server
from tas.sip.events import (
    EndCause,
    UsageAnswered,
    UsageConfirmed,
    UsageEnded,
    UsageInfo,
    UsageProgress,
    UsageRejected,
)
from tas.sip.flow import Flow
from tas.sip.heads import RequestHead, render_headers
from tas.sip.invite.answered import Answered
from tas.sip.invite.base import CONTENT_SDP
from tas.sip.invite.exchange import Exchange
from tas.sip.invite.table import (
    ACK,
    ACKED,
    ANSWER,
    ANSWERED,
    BYE,
    BYE_DONE,
    CANCELLED,
    CONFIRMED,
    DEPARTING,
    END,
    INVITED,
    LEAVING,
    LOST,
    NO_ACK,
    OFFERED,
    OVER,
    PROVISIONAL,
    REJECT,
    REJECTED,
    ROWS,
    TOO_SHORT,
    UNACKED,
    UNCONFIRMED,
)
from tas.sip.invite.terms import SessionPolicy, render_wish
from tas.sip.invite.timed import TimedUsage
from tas.sip.machine import Table, compile_rows, step
from tas.sip.message import Header, Request, Response
from tas.sip.transaction.client import ClientTransaction
from tas.sip.transaction.invite_client import InviteClient
from tas.sip.transaction.invite_server import InviteServer
from tas.sip.transaction.non_invite_client import NonInviteClient
from tas.sip.transaction.server import ServerTransaction

ALIVE = frozenset((UNACKED, UNCONFIRMED, CONFIRMED))
"""States in which a request inside the dialog is served; while we leave, only a BYE is."""


class InviteUsage(TimedUsage):
    """One leg: made by `SipLayer.invite()` or by a received INVITE, gone by itself after its end."""

    __slots__ = ()

    TABLE: ClassVar[Table[InviteUsage]]

    def __init__(self, core: Core, key: int, call_id: bytes, local_tag: bytes, state: str, flow: Flow) -> None:
        super().__init__(core, key, call_id, local_tag, state, flow)
        core.usages[local_tag] = self

    # What the layer's user does. Nothing raises: an act that comes too late (a race with the peer) is dropped.

    def progress(
        self, status: int, reason: bytes | None = None, body: bytes = b"", headers: Sequence[Header] = (), *, now: float
    ) -> None:
        """Send a provisional response (180, 183 with early media, 182 Queued)."""
        if self.state == INVITED and self._transaction is not None and isinstance(self._transaction, InviteServer):
            self.send_response(self._transaction, status, reason, render_headers(headers), body, now)

    def answer(self, body: bytes, now: float, headers: Sequence[Header] = ()) -> None:
        """Accept the call with 200, or the peer's new offer."""
        self._body = body
        self._extra = render_headers(headers) if headers else b""
        self.described(body)
        if not step(self.TABLE, self, ANSWER, None, now) and self._exchange is not None:
            self._exchange.answer(body, headers, now)

    def reject(self, status: int, reason: bytes | None = None, headers: Sequence[Header] = (), *, now: float) -> None:
        """Refuse the call, or the peer's new offer."""
        self._status = status
        self._reason = reason
        self._extra = render_headers(headers)
        if not step(self.TABLE, self, REJECT, None, now) and self._exchange is not None:
            self._exchange.reject(status, reason, headers, now)

    def ack(self, body: bytes, now: float) -> None:
        """Acknowledge the 2xx that brought the peer's offer, with our answer."""
        self._body = body
        self.described(body)
        if not step(self.TABLE, self, ACK, None, now) and self._exchange is not None:
            self._exchange.ack(body, now)

    def end(self, now: float, *, status: int = 487, reason_header: bytes = b"") -> None:
        """Hang up as the state asks for: CANCEL, BYE, or the final answer `status`. No event follows.

        `reason_header` is the value of a Reason header (RFC 3326).
        """
        self._status = status
        self._reason = None
        self._extra = render_headers(((b"reason", reason_header),)) if reason_header else b""
        self._body = b""
        step(self.TABLE, self, END, None, now)

    def reinvite(self, body: bytes, now: float) -> None:
        """Offer a change; waits until the call is confirmed and no other offer is open."""
        exchange = self.make_exchange()
        if self.state == CONFIRMED:
            exchange.reinvite(body, now)
        elif self.state in (UNACKED, UNCONFIRMED):
            exchange.postpone(body)

    # What the layer hands in.

    def start_calling(self, head: RequestHead, extra: bytes, body: bytes, policy: SessionPolicy, now: float) -> None:
        """Send the INVITE."""
        self._head = head
        self.has_offer = bool(body)
        self.policy = policy
        self._invite = (head.to, extra, body, 1)
        self._send_invite(None, now)

    def start_invited(self, request: Request, transaction: InviteServer) -> None:
        """Take on a received INVITE."""
        self._transaction = transaction
        transaction.usage = self
        transaction.tag = self.local_tag
        self.has_offer = bool(request.body)
        self.dialog = dialog_as_server(request, self.local_tag, self._flow)

    def find_dialog(self, request: Request) -> Dialog | None:
        """The dialog of this usage that a request with our tag belongs to."""
        tag = request.from_.tag or b""
        dialog = self.dialog
        if dialog is not None:
            return dialog if dialog.remote_tag == tag else None
        early = self._early.get(tag) if self._early is not None else None
        if early is None or self._head is None:
            return None
        return dialog_as_client(self._head, self.local_tag, early, self._flow)

    def receive_bye(self, transaction: ServerTransaction, now: float) -> None:
        """The peer hangs up; 200 in every state."""
        transaction.respond(200, None, self.core.server, now=now)
        step(self.TABLE, self, BYE, None, now)

    def receive_info(self, request: Request, transaction: ServerTransaction, now: float) -> None:
        """INFO (RFC 6086): DTMF of peers without telephone-events."""
        if self.state not in ALIVE:
            transaction.respond(481, None, now=now)
            return
        transaction.respond(200, None, self.core.server, now=now)
        self.emit(UsageInfo(self, request.content_type, request.body))

    def receive_offer(self, request: Request, transaction: ServerTransaction, now: float) -> None:
        """Re-INVITE or UPDATE."""
        if self.state in (LEAVING, DEPARTING, OVER):
            transaction.respond(481, None, now=now)
            return
        if self.state == CONFIRMED and self.dialog is not None:
            if not self.settle_again(request, transaction, now):
                return
            self.dialog.refresh(request)
            self.dialog.flow = transaction.flow
        if request.method == b"UPDATE" and not request.body:  # target or session refresh only
            self.send_response(transaction, 200, None, b"", b"", now)
        elif self.state == CONFIRMED:
            transaction.usage = self
            self.make_exchange().receive(request, transaction, now)
        else:  # RFC 5407 §3.1: the first offer and answer are not complete
            transaction.respond(491, None, now=now)

    def receive_ack(self, request: Request, now: float) -> None:
        """The ACK of a 2xx we sent."""
        if self._exchange is not None and self._exchange.receive_ack(request, now):
            return
        if self._answered is not None and self._answered.cseq == request.cseq:
            step(self.TABLE, self, ACKED, request, now)

    def receive_cancel(self, transaction: ServerTransaction, now: float) -> None:
        """The peer cancels an INVITE we have not answered."""
        if transaction is self._transaction:
            step(self.TABLE, self, CANCELLED, None, now)
        elif self._exchange is not None:
            self._exchange.receive_cancel(transaction, now)

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """ClientUser: of our INVITE and our BYE."""
        status = response.status
        if transaction.key[1] == b"BYE":
            if status >= 200:
                step(self.TABLE, self, BYE_DONE, None, now)
        elif status < 200:
            self._receive_provisional(response, now)
        elif status < 300:
            self._receive_success(response, now)
        elif not (status == 422 and self._ask_longer(response) and step(self.TABLE, self, TOO_SHORT, None, now)):
            step(self.TABLE, self, REJECTED, response, now)

    def on_failure(self, transaction: ClientTransaction, status: int, now: float) -> None:
        """ClientUser: no answer, or not sent."""
        if transaction.key[1] == b"BYE":
            step(self.TABLE, self, BYE_DONE, None, now)
        else:
            self._status = status
            step(self.TABLE, self, REJECTED, None, now)

    def on_unacknowledged(self, now: float) -> None:
        """AnswerOwner."""
        step(self.TABLE, self, NO_ACK, None, now)

    def lose(self, status: int | None, now: float, why: bytes = b"Dialog lost") -> None:
        """A request inside the dialog showed that the peer has lost it; None: our answer was not acknowledged."""
        self._status = status or 0
        self._extra = b'\r\nReason: SIP;cause=%d;text="%b"' % (status or 408, why)
        step(self.TABLE, self, LOST, None, now)

    def _receive_provisional(self, response: Response, now: float) -> None:
        tag = response.to.tag
        if tag is not None and response.status > 100:
            if self._early is None:
                self._early = {}
            self._early[tag] = response
        step(self.TABLE, self, PROVISIONAL, response, now)

    def _receive_success(self, response: Response, now: float) -> None:
        tag = response.to.tag or b""
        acks = self._acks
        if acks is not None and tag in acks:  # our ACK was lost
            self.core.send(acks[tag].flow, acks[tag].data, self.call_id, now)
        elif self._head is None:
            return
        elif self.dialog is None and self.state != OVER:
            self.dialog = dialog_as_client(self._head, self.local_tag, response, self._flow)
            self._transaction = None
            self._early = None
            self.start_session(response, now)
            step(self.TABLE, self, ANSWERED if self.has_offer else OFFERED, response, now)
        elif self.dialog is None or self.dialog.remote_tag != tag:
            self._end_fork(self._head, response, now)

    def _end_fork(self, head: RequestHead, response: Response, now: float) -> None:
        # RFC 3261 §13.2.2.4: another branch answered too; one leg is all we can use.
        dialog = dialog_as_client(head, self.local_tag, response, self._flow)
        self._remember_ack(dialog, now)
        self.send_bye(dialog, None, now)

    def _remember_ack(self, dialog: Dialog, now: float) -> None:
        if self._acks is None:
            self._acks = {}
        cseq = self._head.cseq if self._head is not None else 1
        self._acks[dialog.remote_tag] = self.send_ack(dialog, cseq, self._body, now)

    def make_exchange(self) -> Exchange:
        """The offers of this usage."""
        if self._exchange is None:
            self._exchange = Exchange(self.core, self, self._head is not None)
        return self._exchange

    # Actions of the table.

    def _send_invite(self, _message: Request | Response | None, now: float) -> None:
        if self._head is None or self._invite is None:
            return
        head, (_, extra, body, _) = self._head, self._invite
        if self.policy.expires_s:
            extra += render_wish(self.policy)
        data = head.render(b"INVITE", extra + CONTENT_SDP if body else extra, body)
        self._transaction = InviteClient(self.core, head, self._flow, data, self, now)

    def _emit_progress(self, message: Request | Response | None, now: float) -> None:
        if isinstance(message, Response) and message.status > 100:
            self.emit(UsageProgress(self, message.status, message.reason, message.body, message))

    def _emit_answered(self, message: Request | Response | None, now: float) -> None:
        if isinstance(message, Response):
            self.emit(UsageAnswered(self, message.body, message))

    def _emit_rejected(self, message: Request | Response | None, now: float) -> None:
        if isinstance(message, Response):
            self.emit(UsageRejected(self, message.status, message.reason, message))
        else:
            self.emit(UsageRejected(self, self._status, b"", None))

    def _emit_confirmed(self, message: Request | Response | None, now: float) -> None:
        self.emit(UsageConfirmed(self, message.body if message is not None else b""))

    def _emit_bye(self, _message: Request | Response | None, now: float) -> None:
        self.emit(UsageEnded(self, EndCause.BYE, 200))

    def _emit_cancelled(self, _message: Request | Response | None, now: float) -> None:
        self.emit(UsageEnded(self, EndCause.CANCEL, 487))

    def _emit_no_ack(self, _message: Request | Response | None, now: float) -> None:
        self.emit(UsageEnded(self, EndCause.NO_ACK, 408))

    def _emit_lost(self, _message: Request | Response | None, now: float) -> None:
        cause = EndCause.TIMEOUT if self._status else EndCause.NO_ACK
        self.emit(UsageEnded(self, cause, self._status or 408))

    def _send_ack(self, _message: Request | Response | None, now: float) -> None:
        if self.dialog is not None:
            self._remember_ack(self.dialog, now)

    def _send_bye(self, _message: Request | Response | None, now: float) -> None:
        if self.dialog is not None:
            self.send_bye(self.dialog, self, now)

    def _send_cancel(self, _message: Request | Response | None, now: float) -> None:
        transaction = self._transaction
        if self._cancelled or not isinstance(transaction, InviteClient) or self._head is None:
            return
        self._cancelled = True
        data = self._head.render(b"CANCEL", self._extra)
        NonInviteClient(self.core, b"CANCEL", self._head, self._flow, data, None, now)
        transaction.limit(now)

    def _abandon(self, _message: Request | Response | None, now: float) -> None:
        # The peer left the early dialog: its INVITE transaction still has its rejection to come.
        if isinstance(self._transaction, InviteClient):
            self._transaction.limit(now)

    def _send_answer(self, _message: Request | Response | None, now: float) -> None:
        transaction = self._transaction
        if isinstance(transaction, InviteServer):
            self.send_response(transaction, 200, None, self._extra, self._body, now)
            self._answered = Answered(self.core, self, transaction, now)
            self._transaction = None

    def _stop_answer(self, _message: Request | Response | None, now: float) -> None:
        if self._answered is not None:
            self._answered.stop()
            self._answered = None

    def _send_rejection(self, _message: Request | Response | None, now: float) -> None:
        if isinstance(self._transaction, InviteServer):
            self.send_response(self._transaction, self._status, self._reason, self._extra, b"", now)

    def _send_terminated(self, _message: Request | Response | None, now: float) -> None:
        if isinstance(self._transaction, InviteServer):
            self.send_response(self._transaction, 487, None, b"", b"", now)

    def _resume(self, _message: Request | Response | None, now: float) -> None:
        if self._exchange is not None:
            self._exchange.resume(now)

    def _forget(self, _message: Request | Response | None, now: float) -> None:
        if self._exchange is not None:
            self._exchange.stop(now)
            self._exchange = None
        self.stop_session()
        if self._transaction is not None and isinstance(self._transaction, InviteServer):
            self._transaction.usage = None
        self._transaction = None
        self._early = None
        core = self.core
        core.usages.pop(self.local_tag, None)
        core.over.append(self)


InviteUsage.TABLE = compile_rows(ROWS, InviteUsage)
