"""The part of a usage that has to do with its session timer (RFC 4028)."""

from __future__ import annotations

from tas.sip.heads import RequestHead, render_headers
from tas.sip.invite.base import UsageBase
from tas.sip.invite.exchange import IDLE, Exchange
from tas.sip.invite.session import Session
from tas.sip.invite.table import CONFIRMED
from tas.sip.invite.terms import MAX_RAISES, SessionPolicy, min_se_of
from tas.sip.message import Request, Response
from tas.sip.screening import Refusal
from tas.sip.transaction.server import ServerTransaction


class TimedUsage(UsageBase):
    """What the layer's user, the offers and the timer itself ask for."""

    __slots__ = ()

    def settle_session(self, request: Request, policy: SessionPolicy) -> Refusal | None:
        """Settle the timer of a received call: what to reject it with, or None. `answer` tells the peer."""
        self.policy = policy
        if not policy.expires_s and request.get(b"session-expires") is None:
            return None
        self._session = Session(self.core, self, policy)
        return self._session.receive_request(request)

    def settle_again(self, request: Request, transaction: ServerTransaction, now: float) -> bool:
        """The same for a re-INVITE or UPDATE; False when it had to be refused."""
        session = self._session
        if session is None:
            if request.get(b"session-expires") is None:
                return True
            session = self._session = Session(self.core, self, self.policy)
        refusal = session.receive_request(request)
        if refusal is not None:
            transaction.respond(refusal[0], None, render_headers(refusal[1]), now=now)
        return refusal is None

    def start_session(self, response: Response, now: float) -> None:
        """Our INVITE was answered: keep what its 2xx says of a timer."""
        invite, self._invite = self._invite, None
        asked_s = self.policy.expires_s
        if invite is not None and (asked_s or response.get(b"session-expires") is not None):
            self._session = Session(self.core, self, self.policy, invite[2])
            self._session.receive_success(response, asked_s, now)

    def described(self, body: bytes) -> None:
        """Our side of the session is now described so."""
        if self._session is not None:
            self._session.sdp = body

    def refreshed(self, response: Response, offer: bytes, now: float) -> None:
        """Our re-INVITE was accepted."""
        session = self._session
        if session is not None:
            session.sdp = offer or session.sdp
            session.refreshed(response, now)

    def not_refreshed(self, status: int, response: Response | None, now: float) -> None:
        """Our re-INVITE was refused."""
        if self._session is not None:
            self._session.refused(status, response, now)

    def refresh(self, session: Session, body: bytes, now: float) -> bool:
        """Refresh by re-INVITE with `body`, by UPDATE when it is empty; False when something is in the way."""
        if self.state != CONFIRMED:
            return False
        if not body:
            self.send_update(session, now)
            return True
        exchange = self.make_exchange()
        if exchange.state != IDLE:
            return False
        exchange.reinvite(body, now)
        return True

    def stop_session(self) -> None:
        """The usage is over."""
        self._invite = None
        if self._session is not None:
            self._session.stop()
            self._session = None

    def make_exchange(self) -> Exchange:
        """See InviteUsage."""
        raise NotImplementedError

    def lose(self, status: int | None, now: float, why: bytes = b"") -> None:
        """See InviteUsage."""
        raise NotImplementedError

    def _ask_longer(self, response: Response) -> bool:
        # §7.3: the same call again, with the interval that somebody on the way wants at least.
        least = min_se_of(response)
        if self._head is None or self._invite is None or not 0 < self.policy.expires_s < least:
            return False
        head, (to, extra, body, tries) = self._head, self._invite
        if tries > MAX_RAISES:
            return False
        self.policy = self.policy._replace(expires_s=least, min_se_s=least)
        self._invite = (to, extra, body, tries + 1)
        self._head = RequestHead(
            head.uri,
            head.via,
            self.core.tokens.branch(),
            head.from_,
            to,
            head.call_id,
            head.cseq + 1,
            head.routes,
            head.max_forwards,
        )
        self._early = None
        return True
