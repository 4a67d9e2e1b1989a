"""Offers inside a confirmed dialog: our re-INVITE, the peer's re-INVITE or UPDATE, and glare (RFC 3261 §14, RFC 3311).

One offer at a time: whatever collides is answered 491, or 500 with Retry-After while we still owe an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from tas.sip.core import Core
from tas.sip.events import UsageConfirmed, UsageReinviteDone, UsageReoffered
from tas.sip.flow import Send
from tas.sip.heads import render_headers
from tas.sip.invite.answered import Answered
from tas.sip.invite.table import CONFIRMED
from tas.sip.machine import Rows, Table, compile_rows, step
from tas.sip.message import Header, Request, Response
from tas.sip.timers import Timer
from tas.sip.transaction.client import ClientTransaction
from tas.sip.transaction.invite_client import InviteClient
from tas.sip.transaction.server import ServerTransaction

if TYPE_CHECKING:
    from tas.sip.invite.usage import InviteUsage

IDLE: Final = "idle"
OURS: Final = "ours"
OURS_UNACKED: Final = "ours unacked"
"""The peer's 2xx brought an offer; our user owes the ACK with its answer."""
WAITING: Final = "waiting"
"""Our offer met theirs (491) and will be repeated."""
THEIRS: Final = "theirs"
"""Our user owes an answer."""
THEIRS_UNCONFIRMED: Final = "theirs unconfirmed"

REINVITE: Final = "reinvite"
OFFER: Final = "offer received"
ANSWER: Final = "answer"
ANSWER_UPDATE: Final = "answer to UPDATE"
REJECT: Final = "reject"
ACK: Final = "ack"
ACKED: Final = "ACK received"
SUCCESS: Final = "2xx"
OFFERED: Final = "2xx with an offer"
GLARE: Final = "491"
FAILURE: Final = "3xx-6xx"
RETRY: Final = "retry"

ROWS: Final[Rows] = {
    IDLE: {
        REINVITE: (OURS, "send_invite"),
        OFFER: (THEIRS, "emit_reoffered"),
    },
    OURS: {
        REINVITE: (OURS, "postpone"),
        OFFER: (OURS, "refuse_glare"),
        SUCCESS: (IDLE, "send_ack emit_done resume"),
        OFFERED: (OURS_UNACKED, "emit_done"),
        GLARE: (WAITING, "wait"),
        FAILURE: (IDLE, "emit_done resume"),
    },
    OURS_UNACKED: {
        REINVITE: (OURS_UNACKED, "postpone"),
        OFFER: (OURS_UNACKED, "refuse_glare"),
        ACK: (IDLE, "send_ack resume"),
    },
    WAITING: {
        REINVITE: (WAITING, ""),  # the new offer goes out instead
        RETRY: (OURS, "send_invite"),
        # The session has moved on under our offer: the user decides anew.
        OFFER: (THEIRS, "stop_waiting emit_glare emit_reoffered"),
    },
    THEIRS: {
        REINVITE: (THEIRS, "postpone"),
        OFFER: (THEIRS, "refuse_busy"),
        ANSWER: (THEIRS_UNCONFIRMED, "send_answer"),
        ANSWER_UPDATE: (IDLE, "send_final resume"),
        REJECT: (IDLE, "send_final resume"),
    },
    THEIRS_UNCONFIRMED: {
        REINVITE: (THEIRS_UNCONFIRMED, "postpone"),
        OFFER: (THEIRS_UNCONFIRMED, "refuse_glare"),
        ACKED: (IDLE, "stop_answer emit_confirmed resume"),
    },
}

MAX_GLARE_RETRIES: Final = 5
"""Repetitions of one offer after 491; baresip and others back off by themselves, a mirror of ourselves never would."""
RETRY_TIMER: Final = "glare"
GLARE_STEP_S: Final = 0.01  # §14.1: in units of 10 ms
BUSY_RETRY_S: Final = 11  # §14.2: Retry-After random between 0 and 10 seconds


class Exchange:
    """The offers of one usage; made when the first one comes up."""

    __slots__ = (
        "_acknowledged", "_answered", "_body", "_call_id_ours", "_client", "_core", "_incoming", "_offer", "_postponed",
        "_reply", "_retry", "_status", "_theirs", "_tries", "_usage", "state",
    )  # fmt: skip

    TABLE: ClassVar[Table[Exchange]]

    def __init__(self, core: Core, usage: InviteUsage, call_id_ours: bool) -> None:
        self._core = core
        self._usage: InviteUsage | None = usage
        self._call_id_ours = call_id_ours
        self.state = IDLE
        self._offer = b""
        """Our offer, kept for a repetition."""
        self._postponed: bytes | None = None
        self._tries = 0
        self._client: ClientTransaction | None = None
        self._acknowledged: tuple[int, Send] | None = None
        """CSeq and bytes of our last ACK, for repeated 2xx."""
        self._body = b""
        self._status = 0
        self._incoming: ServerTransaction | None = None
        self._theirs: ServerTransaction | None = None
        """The peer's offer that waits for our user."""
        self._reply: tuple[int, bytes | None, bytes] = (0, None, b"")
        self._answered: Answered | None = None
        self._retry: Timer | None = None

    # What our user does.

    def reinvite(self, body: bytes, now: float) -> None:
        """Offer `body` to the peer, now or when the dialog is free; b"" asks for the peer's offer."""
        self._body = body
        self._tries = 0
        self._offer = body if self.state in (IDLE, WAITING) else self._offer
        step(self.TABLE, self, REINVITE, None, now)

    def postpone(self, body: bytes) -> None:
        """Offer `body` once the usage is confirmed."""
        self._postponed = body

    def resume(self, now: float) -> None:
        """Send the offer that had to wait."""
        body, self._postponed = self._postponed, None
        if body is not None and self._confirmed_usage() is not None:
            self.reinvite(body, now)

    def ack(self, body: bytes, now: float) -> bool:
        """Acknowledge the 2xx that brought an offer, with our answer."""
        self._body = body
        if self._usage is not None:
            self._usage.described(body)
        return step(self.TABLE, self, ACK, None, now)

    def answer(self, body: bytes, headers: Sequence[Header], now: float) -> bool:
        """Answer the peer's offer."""
        theirs = self._theirs
        if theirs is None:
            return False
        self._body = body
        if self._usage is not None:
            self._usage.described(body)
        self._reply = (200, None, render_headers(headers))
        return step(self.TABLE, self, ANSWER if theirs.method == b"INVITE" else ANSWER_UPDATE, None, now)

    def reject(self, status: int, reason: bytes | None, headers: Sequence[Header], now: float) -> bool:
        """Refuse the peer's offer; the session stays as it was."""
        self._body = b""
        self._reply = (status, reason, render_headers(headers))
        return step(self.TABLE, self, REJECT, None, now)

    # What the peer does.

    def receive(self, request: Request, transaction: ServerTransaction, now: float) -> None:
        """The peer's re-INVITE, or its UPDATE with an offer."""
        self._incoming = transaction
        step(self.TABLE, self, OFFER, request, now)
        self._incoming = None

    def receive_ack(self, request: Request, now: float) -> bool:
        """An ACK inside the dialog; True when it was for our answer here."""
        answered = self._answered
        if answered is None or answered.cseq != request.cseq:
            return False
        return step(self.TABLE, self, ACKED, request, now)

    def receive_cancel(self, transaction: ServerTransaction, now: float) -> None:
        """The peer cancels its re-INVITE; our user's answer will come too late."""
        if transaction is self._theirs:
            self.reject(487, None, (), now)

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """ClientUser."""
        status = response.status
        if status < 200:
            return
        if transaction is not self._client:
            if status < 300:
                self._repeat_ack(response, now)
            return
        self._status = status
        if status < 300:
            self._accept(response, now)
            return
        self._client = None
        if status == 491 and self._tries < MAX_GLARE_RETRIES:
            step(self.TABLE, self, GLARE, response, now)
        else:
            self._fail(status, response, now)

    def _repeat_ack(self, response: Response, now: float) -> None:
        if self._acknowledged is not None and self._acknowledged[0] == response.cseq:
            again = self._acknowledged[1]
            self._core.send(again.flow, again.data, response.call_id, now)

    def on_failure(self, transaction: ClientTransaction, status: int, now: float) -> None:
        """ClientUser."""
        if transaction is self._client:
            self._client = None
            self._status = status
            self._fail(status, None, now)

    def on_unacknowledged(self, now: float) -> None:
        """AnswerOwner."""
        if self._usage is not None:
            self._usage.lose(None, now)

    def on_timer(self, kind: str, now: float) -> None:
        """TimerOwner."""
        self._retry = None
        step(self.TABLE, self, RETRY, None, now)

    def stop(self, now: float) -> None:
        """The usage is over: answer what is still open and let go of it."""
        if self.state == THEIRS and self._theirs is not None:
            self._theirs.respond(487, None, now=now)
        self._stop_answer(None, now)
        self._stop_waiting(None, now)
        if isinstance(self._client, InviteClient):
            self._client.limit(now)
        self._client = None
        self._theirs = None
        self._usage = None

    def _confirmed_usage(self) -> InviteUsage | None:
        """The usage, unless it is leaving: then nothing new is started and nobody told."""
        usage = self._usage
        return usage if usage is not None and usage.state == CONFIRMED else None

    # Actions of the table.

    def _accept(self, response: Response, now: float) -> None:
        usage = self._usage
        if usage is None or usage.dialog is None:
            return
        if self.state == OURS_UNACKED:
            return  # the 2xx again, while our user still thinks about its offer
        usage.dialog.refresh(response)
        usage.refreshed(response, self._offer, now)
        if self._offer:
            self._body = b""
            step(self.TABLE, self, SUCCESS, response, now)
        else:
            step(self.TABLE, self, OFFERED, response, now)

    def _fail(self, status: int, response: Response | None, now: float) -> None:
        step(self.TABLE, self, FAILURE, None, now)
        usage = self._usage
        if usage is None:
            return
        if status in (408, 481):  # §12.2.1.2: the peer has lost the dialog
            usage.lose(status, now)
        else:
            usage.not_refreshed(status, response, now)

    def _send_invite(self, _message: Request | Response | None, now: float) -> None:
        usage = self._confirmed_usage()
        if usage is not None:
            self._client = usage.send_invite(self._offer, self, now)

    def _send_ack(self, _message: Request | Response | None, now: float) -> None:
        usage = self._usage
        client = self._client
        if usage is not None and usage.dialog is not None and client is not None:
            cseq = client.head.cseq
            self._acknowledged = (cseq, usage.send_ack(usage.dialog, cseq, self._body, now))
            self._client = None

    def _postpone(self, _message: Request | Response | None, now: float) -> None:
        self._postponed = self._body

    def _resume(self, _message: Request | Response | None, now: float) -> None:
        self._theirs = None
        self.resume(now)

    def _wait(self, _message: Request | Response | None, now: float) -> None:
        self._tries += 1
        # §14.1: the owner of the Call-ID waits 2.1 to 4 s, the other 0 to 2 s, so that they cannot meet again.
        steps = 210 + self._core.random_below(191) if self._call_id_ours else self._core.random_below(201)
        self._retry = self._core.timers.start_odd(steps * GLARE_STEP_S, RETRY_TIMER, self, now)

    def _stop_waiting(self, _message: Request | Response | None, now: float) -> None:
        self._core.timers.cancel(self._retry)
        self._retry = None

    def _refuse_glare(self, _message: Request | Response | None, now: float) -> None:
        if self._incoming is not None:
            self._incoming.respond(491, None, now=now)

    def _refuse_busy(self, _message: Request | Response | None, now: float) -> None:
        if self._incoming is not None:
            retry_after = b"\r\nRetry-After: %d" % self._core.random_below(BUSY_RETRY_S)
            self._incoming.respond(500, None, retry_after, now=now)

    def _send_final(self, _message: Request | Response | None, now: float) -> None:
        if self._usage is not None and self._theirs is not None:
            status, reason, extra = self._reply
            self._usage.send_response(self._theirs, status, reason, extra, self._body, now)

    def _send_answer(self, _message: Request | Response | None, now: float) -> None:
        theirs = self._theirs
        self._send_final(None, now)
        if theirs is not None:
            self._answered = Answered(self._core, self, theirs, now)

    def _stop_answer(self, _message: Request | Response | None, now: float) -> None:
        if self._answered is not None:
            self._answered.stop()
            self._answered = None

    def _emit_reoffered(self, message: Request | Response | None, now: float) -> None:
        self._theirs = self._incoming
        usage = self._confirmed_usage()
        if usage is not None and message is not None:
            usage.emit(UsageReoffered(usage, message.body))

    def _emit_confirmed(self, message: Request | Response | None, now: float) -> None:
        usage = self._confirmed_usage()
        if usage is not None and message is not None:
            usage.emit(UsageConfirmed(usage, message.body))

    def _emit_done(self, message: Request | Response | None, now: float) -> None:
        usage = self._confirmed_usage()
        if usage is not None:
            body = message.body if message is not None else b""
            usage.emit(UsageReinviteDone(usage, self._status, body))

    def _emit_glare(self, _message: Request | Response | None, now: float) -> None:
        usage = self._confirmed_usage()
        if usage is not None:
            usage.emit(UsageReinviteDone(usage, 491, b""))


Exchange.TABLE = compile_rows(ROWS, Exchange)
