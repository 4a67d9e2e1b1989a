"""Our reliable provisional responses to one INVITE (RFC 3262 §3): one at a time, repeated until its PRACK."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from tas.sip.core import Core
from tas.sip.grammar import SipSyntaxError, parse_number
from tas.sip.message import MAX_CSEQ, Request
from tas.sip.timers import Timer
from tas.sip.transaction.invite_server import InviteServer

if TYPE_CHECKING:
    from tas.sip.invite.early import EarlyUsage

RELIABLE: Final = b"100rel"
RETRANSMIT_1XX: Final = "1xx"
MAX_WAITING: Final = 8
"""Provisionals that wait for the PRACK of the one before; further ones are left out, as if they were lost."""

Provisional = tuple[int, bytes | None, bytes, bytes]
"""Status, reason, header lines, body."""


class Provisionals:
    """The provisionals of one usage whose caller wants them reliable."""

    __slots__ = (
        "_core", "_cseq", "_data", "_elapsed", "_interval", "_rseq", "_timer", "_transaction", "_usage", "_waiting",
        "_with_body",
    )  # fmt: skip

    def __init__(self, core: Core, usage: EarlyUsage, transaction: InviteServer) -> None:
        self._core = core
        self._usage: EarlyUsage | None = usage
        self._transaction = transaction
        self._cseq = transaction.head.cseq
        self._rseq = 1 + core.random_below(0x8000)  # §3: at random, and far from 2**31
        self._data = b""
        self._interval = 0.0
        self._elapsed = 0.0
        self._with_body = False
        self._timer: Timer | None = None
        self._waiting: deque[Provisional] = deque()

    @property
    def holds_answer(self) -> bool:
        """A 2xx must wait while a provisional with SDP is not acknowledged (§3)."""
        return self._timer is not None and self._with_body

    def send(self, provisional: Provisional, now: float) -> None:
        """Send it now, or after the PRACK that is awaited."""
        if self._timer is not None:
            if len(self._waiting) < MAX_WAITING:
                self._waiting.append(provisional)
            return
        usage = self._usage
        if usage is None:
            return
        status, reason, extra, body = provisional
        self._rseq += 1
        extra += b"\r\nRequire: 100rel\r\nRSeq: %d" % self._rseq
        if not usage.send_response(self._transaction, status, reason, extra, body, now):
            return
        self._data = self._transaction.data
        self._with_body = bool(body)
        self._interval = self._core.t1
        self._elapsed = 0.0
        self._timer = self._core.timers.start(self._interval, RETRANSMIT_1XX, self, now)

    def acknowledge(self, request: Request) -> bool | None:
        """A PRACK: None when it is for none of ours, else whether it settles an answer of ours."""
        if not self._data or _rack(request) != (self._rseq, self._cseq):
            return None
        self._data = b""
        self._stop_timer()
        return self._with_body

    def send_next(self, now: float) -> None:
        """Go on with what waited."""
        if self._waiting:
            self.send(self._waiting.popleft(), now)

    def on_timer(self, kind: str, now: float) -> None:
        """TimerOwner."""
        self._timer = None
        self._elapsed += self._interval
        left = self._core.t1x64 - self._elapsed
        usage = self._usage
        if usage is None:
            return
        if left <= 0:
            usage.give_up_early(now)
            return
        self._core.send(self._transaction.flow, self._data, usage.call_id, now)
        self._interval = min(2 * self._interval, left)  # no ceiling, unlike a 2xx's (§3)
        self._timer = self._core.timers.start(self._interval, RETRANSMIT_1XX, self, now)

    def rest(self) -> None:
        """The final answer is sent: nothing more is repeated, a late PRACK is still ours."""
        self._stop_timer()
        self._waiting.clear()

    def stop(self) -> None:
        """The usage is over."""
        self.rest()
        self._usage = None

    def _stop_timer(self) -> None:
        self._core.timers.cancel(self._timer)
        self._timer = None


def _rack(request: Request) -> tuple[int, int] | None:
    words = (request.get(b"rack") or b"").split()
    if len(words) != 3 or words[2] != b"INVITE":
        return None
    try:
        return parse_number(words[0], "RAck", MAX_CSEQ), parse_number(words[1], "RAck", MAX_CSEQ)
    except SipSyntaxError:
        return None
