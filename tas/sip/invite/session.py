"""The session timer of one usage (RFC 4028): our refreshes, and the end of a session that nobody refreshes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from tas.sip.core import Core
from tas.sip.grammar import SipSyntaxError
from tas.sip.invite.terms import (
    MAX_RAISES,
    IntervalTooSmall,
    SessionPolicy,
    Terms,
    answer_terms,
    answered_terms,
    lists,
    min_se_of,
    render_answer,
    render_refresh,
)
from tas.sip.machine import Rows, Table, compile_rows, step
from tas.sip.message import Message, Request, Response
from tas.sip.screening import Refusal
from tas.sip.timers import Timer
from tas.sip.transaction.client import ClientTransaction

if TYPE_CHECKING:
    from tas.sip.invite.timed import TimedUsage

OFF: Final = "off"
WAITING: Final = "waiting"
"""We refresh, at half the interval."""
REFRESHING: Final = "refreshing"
"""Our refresh is on its way, or was refused and will be repeated."""
WATCHING: Final = "watching"
"""The peer refreshes."""

OURS: Final = "agreed: ours"
THEIRS: Final = "agreed: theirs"
NONE: Final = "agreed: none"
REFUSED: Final = "refresh refused"
REFRESH: Final = "refresh due"
EXPIRY: Final = "expired"

_AGREED: Final = {
    OURS: (WAITING, "stop_timer start_refresh"),
    THEIRS: (WATCHING, "stop_timer start_expiry"),
    NONE: (OFF, "stop_timer"),
}
ROWS: Final[Rows] = {
    OFF: _AGREED,
    WAITING: {**_AGREED, REFRESH: (REFRESHING, "watch refresh")},
    REFRESHING: {
        **_AGREED,
        REFUSED: (REFRESHING, "stop_timer retry"),
        REFRESH: (REFRESHING, "watch refresh"),
        EXPIRY: (OFF, "expire"),
    },
    WATCHING: {**_AGREED, EXPIRY: (OFF, "expire")},
}

RETRY_S: Final = 10.0
"""A refused refresh, or one that another offer stood in the way of, is repeated this much later."""
MARGIN_S: Final = 32.0  # §10: the BYE comes a third of the interval before its end, but at most this much


class Session:
    """The timer of one usage, made only where one side wishes it."""

    __slots__ = (
        "_by_update", "_core", "_deadline", "_min_se_s", "_pending", "_policy", "_raises", "_timer", "_usage", "sdp",
        "state", "terms",
    )  # fmt: skip

    TABLE: ClassVar[Table[Session]]

    def __init__(self, core: Core, usage: TimedUsage, policy: SessionPolicy, sdp: bytes = b"") -> None:
        self._core = core
        self._usage: TimedUsage | None = usage
        self._policy = policy
        self.state = OFF
        self.terms: Terms | None = None
        self.sdp = sdp
        """What we last described our side with: a refresh by re-INVITE repeats it, o= version and all."""
        self._by_update = False
        self._min_se_s = policy.min_se_s
        self._pending: Terms | None = None
        """What our 2xx to the request under way will settle."""
        self._raises = 0
        self._timer: Timer | None = None
        self._deadline = 0.0

    # The peer's requests.

    def receive_request(self, request: Request) -> Refusal | None:
        """The peer's INVITE or UPDATE: what to refuse it with, or None; `accepted` follows with our 2xx."""
        try:
            terms = answer_terms(request, self._policy, self.terms)
        except IntervalTooSmall:
            return 422, [(b"min-se", b"%d" % self._policy.min_se_s)]
        except SipSyntaxError:
            return 400, []
        self._min_se_s = max(self._min_se_s, min_se_of(request))
        self._learn(request)
        self._pending = terms
        return None

    def accepted(self, now: float) -> bytes:
        """Our 2xx goes out now: its header lines."""
        terms = self._pending
        self._agree(terms, now)
        return render_answer(terms) if terms is not None else b""

    # Our requests.

    def request_lines(self) -> bytes:
        """Header lines of our re-INVITE or UPDATE: each of them refreshes."""
        return render_refresh(self.terms, self._min_se_s) if self.terms is not None else b""

    def receive_success(self, response: Response, asked_s: int, now: float) -> None:
        """The 2xx to our INVITE; `asked_s` is the interval it asked for."""
        self._learn(response)
        self._raises = 0
        self._agree(answered_terms(response, asked_s), now)

    def refreshed(self, response: Response, now: float) -> None:
        """The 2xx to our re-INVITE or UPDATE."""
        self.receive_success(response, self.terms.interval_s if self.terms is not None else 0, now)

    def refused(self, status: int, response: Response | None, now: float) -> None:
        """Our re-INVITE or UPDATE was refused; the session lives until its end."""
        if status == 422 and response is not None and self._raise(response):
            self._refresh(None, now)
        else:
            step(self.TABLE, self, REFUSED, None, now)

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """ClientUser, of our UPDATE."""
        usage = self._usage
        status = response.status
        if usage is None or status < 200:
            return
        if status < 300:
            if usage.dialog is not None:
                usage.dialog.refresh(response)
            self.refreshed(response, now)
        elif status in (408, 481):  # RFC 3261 §12.2.1.2: the peer has lost the dialog
            usage.lose(status, now)
        elif status in (405, 501) and self.sdp:
            self._by_update = False
            self._refresh(None, now)
        else:
            self.refused(status, response, now)

    def on_failure(self, transaction: ClientTransaction, status: int, now: float) -> None:
        """ClientUser."""
        usage = self._usage
        if usage is not None and status == 408:
            usage.lose(status, now)
        else:
            step(self.TABLE, self, REFUSED, None, now)

    # Time.

    def on_timer(self, kind: str, now: float) -> None:
        """TimerOwner."""
        self._timer = None
        step(self.TABLE, self, kind, None, now)

    def stop(self) -> None:
        """The usage is over."""
        self._stop_timer(None, 0.0)
        self._usage = None

    def _agree(self, terms: Terms | None, now: float) -> None:
        self.terms = terms
        step(self.TABLE, self, NONE if terms is None else OURS if terms.ours else THEIRS, None, now)

    def _learn(self, message: Message) -> None:
        if message.get(b"allow") is not None:
            self._by_update = lists(message, b"allow", b"update")

    def _raise(self, response: Response) -> bool:
        least = min_se_of(response)
        terms = self.terms
        if terms is None or self._raises >= MAX_RAISES or least <= terms.interval_s:
            return False
        self._raises += 1
        self._min_se_s = least
        self.terms = terms._replace(interval_s=least)
        return True

    # Actions of the table.

    def _start_refresh(self, _message: Request | Response | None, now: float) -> None:
        assert self.terms is not None
        self._set_deadline(self.terms, now)
        self._timer = self._core.timers.start_odd(self.terms.interval_s / 2, REFRESH, self, now)

    def _start_expiry(self, _message: Request | Response | None, now: float) -> None:
        assert self.terms is not None
        self._set_deadline(self.terms, now)
        self._watch(None, now)

    def _set_deadline(self, terms: Terms, now: float) -> None:
        self._deadline = now + terms.interval_s - min(MARGIN_S, terms.interval_s / 3)

    def _watch(self, _message: Request | Response | None, now: float) -> None:
        self._timer = self._core.timers.start_odd(max(0.0, self._deadline - now), EXPIRY, self, now)

    def _retry(self, _message: Request | Response | None, now: float) -> None:
        if now + RETRY_S < self._deadline:
            self._timer = self._core.timers.start_odd(RETRY_S, REFRESH, self, now)
        else:
            self._watch(None, now)

    def _stop_timer(self, _message: Request | Response | None, now: float) -> None:
        self._core.timers.cancel(self._timer)
        self._timer = None

    def _refresh(self, _message: Request | Response | None, now: float) -> None:
        usage = self._usage
        sent = usage is not None and usage.refresh(self, b"" if self._by_update else self.sdp, now)
        if not sent:
            step(self.TABLE, self, REFUSED, None, now)

    def _expire(self, _message: Request | Response | None, now: float) -> None:
        if self._usage is not None:
            self._usage.lose(408, now, b"Session expired")


Session.TABLE = compile_rows(ROWS, Session)
