"""The part of a usage that has to do with early dialogs: provisionals, PRACK (RFC 3262), early offers (RFC 3311)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tas.sip.dialog import Dialog, dialog_as_client
from tas.sip.flow import Flow
from tas.sip.grammar import SipSyntaxError, parse_number
from tas.sip.heads import RequestHead, render_headers
from tas.sip.invite.base import CONTENT_SDP
from tas.sip.invite.provisionals import RELIABLE, Provisionals
from tas.sip.invite.table import CALLING, CANCELLING, EARLY, INVITED, UNACKED
from tas.sip.invite.terms import PeerPolicy, lists
from tas.sip.invite.timed import TimedUsage
from tas.sip.message import MAX_CSEQ, Header, Request, Response
from tas.sip.screening import Refusal
from tas.sip.transaction.invite_server import InviteServer
from tas.sip.transaction.non_invite_client import NonInviteClient
from tas.sip.transaction.server import ServerTransaction

BUSY_RETRY_S: Final = 11  # RFC 3311 §5.2: Retry-After random between 0 and 10 seconds


class EarlyDialog:
    """What one branch of our INVITE has said reliably."""

    __slots__ = ("body", "dialog", "owed", "rseq")

    def __init__(self, dialog: Dialog) -> None:
        self.dialog = dialog
        self.rseq = 0
        self.body = b""
        """The SDP of a reliable provisional: the 2xx need not repeat it."""
        self.owed = False
        """It was an offer; our user owes the answer, which goes into the PRACK (RFC 3262 §5)."""


class EarlyUsage(TimedUsage):
    """Until the 2xx."""

    __slots__ = ()

    # Calls we receive.

    def settle(self, request: Request, policy: PeerPolicy) -> Refusal | None:
        """Settle what a received call wants of us: what to reject it with, or None."""
        self.policy = policy
        if request.get(b"require") is not None and lists(request, b"require", RELIABLE):
            if policy.reliable == "off":
                return 420, [(b"unsupported", RELIABLE)]
            self._make_provisionals(required=True)
        elif policy.reliable == "prefer" and lists(request, b"supported", RELIABLE):
            self._make_provisionals(required=False)
        return self.settle_session(request)

    def _make_provisionals(self, *, required: bool) -> None:
        # Without an offer in the INVITE the first reliable provisional would have to carry ours (RFC 3262 §5): a
        # caller that insists hears nothing before the 200 then, any other gets plain ones.
        self._silent = required and not self.has_offer
        if self.has_offer and isinstance(self._transaction, InviteServer):
            self._provisionals = Provisionals(self.core, self, self._transaction)

    def progress(
        self, status: int, reason: bytes | None = None, body: bytes = b"", headers: Sequence[Header] = (), *, now: float
    ) -> None:
        """Send a provisional response (180, 183 with early media, 182 Queued)."""
        transaction = self._transaction
        if self.state != INVITED or not isinstance(transaction, InviteServer) or self._silent:
            return
        extra = render_headers(headers)
        if self._provisionals is not None and status > 100:
            self._provisionals.send((status, reason, extra, body), now)
        else:
            self.send_response(transaction, status, reason, extra, body, now)

    def receive_prack(self, request: Request, transaction: ServerTransaction, now: float) -> None:
        """The PRACK of one of our provisionals; it may bring a new offer."""
        provisionals = self._provisionals
        settles = provisionals.acknowledge(request) if provisionals is not None else None
        if provisionals is None or settles is None:
            transaction.respond(481, None, now=now)
            return
        self._settled = self._settled or settles
        if request.body and self._settled and self.state == INVITED:
            self.make_exchange().receive(request, transaction, now)
        else:
            transaction.respond(200, None, self.core.server, now=now)
        provisionals.send_next(now)
        if self._held is not None and not provisionals.holds_answer:
            body, headers = self._held
            self._held = None
            self.answer(body, now, headers)

    def glare(self, transaction: ServerTransaction, now: float) -> None:
        """An offer that comes too early: 500 while we owe an answer to another (RFC 3311 §5.2), else 491."""
        invite = transaction.method == b"INVITE"
        owing = self.has_offer or invite if self.state == INVITED else self.state == UNACKED and not invite
        if owing:
            retry_after = b"\r\nRetry-After: %d" % self.core.random_below(BUSY_RETRY_S)
            transaction.respond(500, None, retry_after, now=now)
        else:
            transaction.respond(491, None, now=now)

    # Calls we make.

    def find_dialog(self, request: Request) -> Dialog | None:
        """The dialog of this usage that a request with our tag belongs to."""
        tag = request.from_.tag or b""
        dialog = self.dialog
        if dialog is not None:
            return dialog if dialog.remote_tag == tag else None
        response = self._early.get(tag) if self._early is not None else None
        return self._early_dialog(tag, response).dialog if response is not None else None

    def acknowledge(self, response: Response, tag: bytes, now: float) -> bool:
        """Send the PRACK of a reliable provisional; False when it is a repetition or out of order (RFC 3262 §4)."""
        rseq = _rseq(response)
        if rseq == 0 or self.policy.reliable == "off" or self.dialog is not None:
            return True
        early = self._early_dialog(tag, response)
        if early.rseq and rseq != early.rseq + 1:
            return False
        early.rseq = rseq
        early.dialog.refresh(response)
        if response.body:
            early.body = response.body
            if not self.has_offer:
                early.owed = True
                return True
            self._settled = True
        self._send_prack(early, b"", now)
        return True

    def answer_early(self, body: bytes, now: float) -> bool:
        """Our user's answer to an offer in a reliable provisional."""
        found = False
        for early in (self._dialogs or {}).values():
            if early.owed:
                early.owed = False
                self._send_prack(early, body, now)
                found = self.has_offer = self._settled = True
        return found

    def _send_prack(self, early: EarlyDialog, body: bytes, now: float) -> None:
        core, head = self.core, self._head
        assert head is not None
        dialog = early.dialog
        flow: Flow = dialog.next_flow()
        dialog.local_cseq += 1
        prack = dialog.head(core.vias[flow.transport], core.tokens.branch(), dialog.local_cseq)
        extra = b"\r\nRAck: %d %d INVITE%b" % (early.rseq, head.cseq, core.identity)
        data = prack.render(b"PRACK", extra + CONTENT_SDP if body else extra, body)
        NonInviteClient(core, b"PRACK", prack, flow, data, None, now)

    def confirmed_dialog(self, head: RequestHead, response: Response) -> Dialog:
        """The dialog of a 2xx; CSeqs go on where the early dialog left off."""
        dialog = dialog_as_client(head, self.local_tag, response, self._flow)
        early = self._dialogs.get(dialog.remote_tag) if self._dialogs is not None else None
        if early is not None:
            dialog.local_cseq = early.dialog.local_cseq
            dialog.remote_cseq = early.dialog.remote_cseq
        return dialog

    def early_body(self, response: Response) -> bytes:
        """The SDP of a 2xx, or what a reliable provisional before it said instead."""
        if response.body or self._dialogs is None:
            return response.body
        early = self._dialogs.get(response.to.tag or b"")
        return early.body if early is not None else b""

    def _early_dialog(self, tag: bytes, response: Response) -> EarlyDialog:
        if self._dialogs is None:
            self._dialogs = {}
        early = self._dialogs.get(tag)
        if early is None:
            assert self._head is not None
            dialog = dialog_as_client(self._head, self.local_tag, response, self._flow)
            early = self._dialogs[tag] = EarlyDialog(dialog)
        return early

    def note_early_offer(self, request: Request) -> None:
        """The peer's UPDATE describes its side anew: a 2xx without SDP then means this."""
        early = self._dialogs.get(request.from_.tag or b"") if self._dialogs is not None else None
        if early is not None:
            early.body = request.body

    def early_offer_allowed(self) -> bool:
        """Whether the first offer and answer are complete although the call is not answered (RFC 3311 §5.1)."""
        return self._settled and self.state in (INVITED, CALLING, EARLY, CANCELLING)

    def answer(self, body: bytes, now: float, headers: Sequence[Header] = ()) -> None:
        """See InviteUsage."""
        raise NotImplementedError

    def give_up_early(self, now: float) -> None:
        """See InviteUsage."""
        raise NotImplementedError


def _rseq(response: Response) -> int:
    """RSeq of a reliable provisional, else 0."""
    raw = response.get(b"rseq")
    if raw is None or not lists(response, b"require", RELIABLE):
        return 0
    try:
        return parse_number(raw, "RSeq", MAX_CSEQ)
    except SipSyntaxError:
        return 0
