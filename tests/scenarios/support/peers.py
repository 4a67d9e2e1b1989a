"""The other ends of calls, on real SIP layers: a call manager with its callers, and agents' phones."""

from __future__ import annotations

from dataclasses import dataclass

from tas.sip.digest import answer_challenge
from tas.sip.events import (
    EndCause,
    Event,
    InviteReceived,
    RequestReceived,
    ResponseReceived,
    UsageAnswered,
    UsageConfirmed,
    UsageEnded,
    UsageEvent,
    UsageProgress,
    UsageReinviteDone,
    UsageRejected,
    UsageReoffered,
)
from tas.sip.flow import Address, Flow
from tas.sip.invite.terms import ACCEPT_ONLY, SessionPolicy
from tas.sip.invite.usage import InviteUsage
from tas.sip.layer import LayerSettings, SipLayer
from tas.sip.message import Header, Request, Response
from tas.sip.transaction.non_invite_client import NonInviteClient
from tests.scenarios.support.sdp import ANSWER, OFFER
from tests.scenarios.support.world import SipProcess, World

REALM = b"opentas"


@dataclass
class Behaviour:
    """What a phone or the call manager does with a call that comes in."""

    ring_s: float | None = 0.0
    """180 after so long; None: no 180."""
    answer_s: float | None = 0.1
    """200 after so long; None: never."""
    reject: int = 0
    """Refused with this status instead, after `answer_s`."""
    early_body: bytes = b""
    """Sent with a 183 instead of the 180."""
    body: bytes = ANSWER
    hang_up_s: float | None = None
    """BYE so long after the 200; None: never."""
    timer: SessionPolicy = ACCEPT_ONLY
    """What it wants of session timers, as caller and called."""


class PeerCall:
    """One leg as its peer sees it."""

    def __init__(self, peer: SipPeer, number: str) -> None:
        self.peer = peer
        self.number = number
        self.usage: InviteUsage | None = None
        self.request: Request | None = None
        """The INVITE that came in."""
        self.started_at = peer.world.now
        self.progress: list[int] = []
        self.early_body = b""
        self.answered_at: float | None = None
        self.confirmed = False
        self.body = b""
        """The other side's SDP: its answer, or its offer in the ACK's place."""
        self.rejected = 0
        self.response: Response | None = None
        """The final refusal."""
        self.ended: EndCause | None = None
        self.ended_at: float | None = None
        self.left = False
        self.reinvited: tuple[int, bytes] = (0, b"")
        self.tries = 0

    @property
    def up(self) -> bool:
        """Answered and not ended."""
        return self.answered_at is not None and not self.over

    @property
    def over(self) -> bool:
        """Ended by anybody, or refused."""
        return self.left or self.ended is not None or self.rejected != 0

    def hang_up(self, status: int = 487) -> None:
        """BYE, CANCEL or refusal, as the state asks for."""
        if self.usage is not None and not self.over:
            self.left = True
            self.ended_at = self.peer.world.now
            self.usage.end(self.peer.world.now, status=status)
            self.peer.world.touch(self.peer)

    def reinvite(self, body: bytes) -> None:
        """Offer a change (hold, retrieve), b"" to be offered one."""
        assert self.usage is not None
        self.usage.reinvite(body, self.peer.world.now)
        self.peer.world.touch(self.peer)

    def info(self, digit: str) -> None:
        """A digit by INFO (application/dtmf-relay); the layer itself sends none, our nodes never do."""
        assert self.usage is not None
        assert self.usage.dialog is not None
        core, dialog, now = self.usage.core, self.usage.dialog, self.peer.world.now
        dialog.local_cseq += 1
        head = dialog.head(core.vias["udp"], core.tokens.branch(), dialog.local_cseq)
        body = f"Signal={digit}\r\nDuration=160\r\n".encode()
        data = head.render(b"INFO", b"\r\nContent-Type: application/dtmf-relay", body)
        NonInviteClient(core, b"INFO", head, dialog.next_flow(), data, None, now)
        self.peer.world.touch(self.peer)


class SipPeer(SipProcess):
    """One address with a layer; makes calls and takes them as `behaviour` says."""

    def __init__(self, world: World, address: Address, server: Address) -> None:
        layer = SipLayer(random=world.random.randbytes, settings=LayerSettings(udp=address, user_agent=b""))
        super().__init__(world, layer, address)
        self.server = server
        self.behaviour = Behaviour()
        self.calls: list[PeerCall] = []
        """Made and taken, in order."""
        self.keep_calls = True
        self.dead = False

    def die(self) -> None:
        """The power is off: nothing is received or sent any more."""
        self.dead = True
        self.world.hosts.pop(self.address, None)

    # Process.

    def transmit(self) -> None:
        if self.dead:
            self.layer.take_sends()
        else:
            super().transmit()

    def next_timeout(self) -> float | None:
        return self.layer.next_timeout()

    def handle_timeout(self, now: float) -> None:
        self.layer.handle_timeout(now)

    def turn(self, now: float) -> None:
        while events := self.layer.take_events():
            for event in events:
                self._handle(event, now)
        self.transmit()

    # Calls out.

    def call(
        self,
        number: str,
        *,
        caller: str = "0301234567",
        body: bytes = OFFER,
        headers: tuple[Header, ...] = (),
        server: Address | None = None,
    ) -> PeerCall:
        """Send an INVITE; b"" as body asks for the other side's offer."""
        call = PeerCall(self, number)
        self._invite(call, number, caller, body, headers, server or self.server)
        if self.keep_calls:
            self.calls.append(call)
        return call

    def _invite(
        self, call: PeerCall, number: str, caller: str, body: bytes, headers: tuple[Header, ...], server: Address
    ) -> None:
        call.tries += 1
        call.usage = self.layer.invite(
            uri=b"sip:%b@%b:%d" % (number.encode(), server[0].encode(), server[1]),
            flow=Flow("udp", server, self.address),
            from_=b"<sip:%b@%b>" % (caller.encode(), self.address[0].encode()),
            to=b"<sip:%b@opentas>" % number.encode(),
            body=body,
            headers=headers,
            session=self.behaviour.timer,
            now=self.world.now,
        )
        call.usage.owner = call
        self.world.touch(self)

    def taken(self, number: int = 0) -> PeerCall:
        """The n-th call that came in."""
        return [call for call in self.calls if call.request is not None][number]

    @property
    def taken_count(self) -> int:
        """Calls that came in."""
        return sum(call.request is not None for call in self.calls)

    # What happens.

    def _handle(self, event: Event, now: float) -> None:
        if isinstance(event, UsageEvent):
            if isinstance(event, InviteReceived):
                self._invited(event, now)
            elif isinstance(event.usage.owner, PeerCall):
                self._happened(event.usage.owner, event, now)
        elif isinstance(event, RequestReceived):
            self.layer.respond(event.transaction, 200, now=now)
        else:
            self.on_response(event, now)

    def on_response(self, event: ResponseReceived, now: float) -> None:
        """The answer to a request outside of calls."""

    def on_refusal(self, call: PeerCall, event: UsageRejected, now: float) -> bool:
        """Whether the call goes on in spite of the refusal (credentials)."""
        return False

    def _happened(self, call: PeerCall, event: UsageEvent, now: float) -> None:
        if isinstance(event, UsageProgress):
            call.progress.append(event.status)
            call.early_body = event.body or call.early_body
        elif isinstance(event, UsageAnswered):
            call.answered_at, call.body = now, event.body
            if not event.usage.has_offer:
                event.usage.ack(ANSWER, now)
        elif isinstance(event, UsageRejected):
            if not self.on_refusal(call, event, now):
                call.rejected, call.response, call.ended_at = event.status, event.response, now
        elif isinstance(event, UsageConfirmed):
            call.confirmed = True
        elif isinstance(event, UsageReoffered):
            event.usage.answer(self.behaviour.body, now)
        elif isinstance(event, UsageReinviteDone):
            call.reinvited = (event.status, event.body)
            if event.body and event.usage.state == "confirmed":
                event.usage.ack(ANSWER, now)
        elif isinstance(event, UsageEnded):
            call.ended, call.ended_at = event.cause, now

    # Calls in.

    def _invited(self, event: InviteReceived, now: float) -> None:
        usage, behaviour = event.usage, self.behaviour
        call = PeerCall(self, (event.request.parsed_uri().user or b"").decode())
        call.usage, call.request, call.body = usage, event.request, event.request.body
        usage.owner = call
        if self.keep_calls:
            self.calls.append(call)
        refused = usage.settle_session(event.request, behaviour.timer)
        if refused is not None:
            call.rejected = refused[0]
            usage.reject(refused[0], None, refused[1], now=now)
            return
        if behaviour.ring_s is not None:
            self._later(behaviour.ring_s, self._ring, call, behaviour)
        if behaviour.answer_s is not None:
            self._later(behaviour.answer_s, self._decide, call, behaviour)

    def _later(self, delay_s: float, action: object, call: PeerCall, behaviour: Behaviour) -> None:
        if delay_s:
            self.world.after(delay_s, self, action, call, behaviour)  # type: ignore[arg-type]
        else:
            action(call, behaviour)  # type: ignore[operator]

    def _ring(self, call: PeerCall, behaviour: Behaviour) -> None:
        if call.usage is not None and not call.over:
            status = 183 if behaviour.early_body else 180
            call.usage.progress(status, None, behaviour.early_body, now=self.world.now)

    def _decide(self, call: PeerCall, behaviour: Behaviour) -> None:
        now = self.world.now
        if call.usage is None or call.over:
            return
        if behaviour.reject:
            call.usage.reject(behaviour.reject, now=now)
            call.rejected = behaviour.reject
            return
        call.answered_at = now
        call.usage.answer(behaviour.body, now)
        if behaviour.hang_up_s is not None:
            self.world.after(behaviour.hang_up_s, self, call.hang_up)


class Pbx(SipPeer):
    """The call manager: callers of the trunk, and the outside world that agents call."""


class Phone(SipPeer):
    """An agent's softphone: registers with digest, keeps its Contact until told otherwise."""

    def __init__(self, world: World, agent: str, address: Address, server: Address) -> None:
        super().__init__(world, address, server)
        self.agent = agent
        self.password = f"lab-{agent}".encode()
        self.registered = False
        self.register_status = 0
        self._wanted_s = 0
        self._asked = b""

    def register(self, expires_s: int = 3600, *, server: Address | None = None) -> None:
        """REGISTER; 0 takes the Contact away."""
        self.server = server or self.server
        self._wanted_s = expires_s
        self._asked = b""
        self._register(())

    def vanish(self) -> None:
        """Pull the plug: nothing is received any more."""
        self.world.hosts.pop(self.address, None)

    def return_(self) -> None:
        """Plug in again."""
        self.world.hosts[self.address] = self

    def _register(self, headers: tuple[Header, ...]) -> None:
        me = b"<sip:%b@%b>" % (self.agent.encode(), REALM)
        self.layer.request(
            method=b"REGISTER",
            uri=b"sip:" + REALM,
            flow=Flow("udp", self.server, self.address),
            from_=me,
            to=me,
            headers=((b"expires", b"%d" % self._wanted_s), *headers),
            now=self.world.now,
        )
        self.world.touch(self)

    def _credentials(self, response: Response, method: bytes, uri: bytes, name: bytes) -> bytes | None:
        return answer_challenge(
            response.get_all(name),
            method=method,
            uri=uri,
            username=self.agent.encode(),
            password=self.password,
            cnonce=b"cnonce",
        )

    def on_response(self, event: ResponseReceived, now: float) -> None:
        self.register_status = event.status
        if event.status == 401 and event.response is not None and not self._asked:
            answer = self._credentials(event.response, b"REGISTER", b"sip:" + REALM, b"www-authenticate")
            assert answer is not None
            self._asked = answer
            self._register(((b"authorization", answer),))
        elif event.status == 200:
            self.registered = self._wanted_s > 0

    def on_refusal(self, call: PeerCall, event: UsageRejected, now: float) -> bool:
        if event.status != 407 or event.response is None or call.tries > 1:
            return False
        uri = b"sip:%b@%b:%d" % (call.number.encode(), self.server[0].encode(), self.server[1])
        answer = self._credentials(event.response, b"INVITE", uri, b"proxy-authenticate")
        assert answer is not None
        self._invite(call, call.number, self.agent, OFFER, ((b"proxy-authorization", answer),), self.server)
        return True

    def dial(self, number: str) -> PeerCall:
        """Call as the agent."""
        return self.call(number, caller=self.agent)
