"""The SIP layer of one node: messages in, events out (RFC 3261 §17 to §8.2). Its doors are in `tas.sip.aio`.

Everything that arrives is matched here with its transaction, its dialog or neither. What cannot become a transaction
is answered statelessly; the user of the layer sees requests outside dialogs, and calls as `InviteUsage`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2s
from typing import Final

from tas.sip.core import Core, LayerSettings, ServerKey
from tas.sip.dialog import Dialog
from tas.sip.edge import BRANCH_PREFIX, Edge
from tas.sip.events import Event, InviteReceived, RequestReceived, ResponseReceived
from tas.sip.flow import Address, Flow, Send
from tas.sip.grammar import SipSyntaxError
from tas.sip.heads import RequestHead, render_headers
from tas.sip.invite.table import CALLING, INVITED
from tas.sip.invite.terms import ACCEPT_ONLY, SessionPolicy
from tas.sip.invite.usage import InviteUsage
from tas.sip.message import Header, Request, Response
from tas.sip.parser import SipParseError, rejection, validate
from tas.sip.screening import Refusal, Screen
from tas.sip.serializer import make_response, serialize
from tas.sip.source import mark_source, own_branch, server_key
from tas.sip.trace import MessageTrace
from tas.sip.transaction.client import ClientTransaction, flow_key
from tas.sip.transaction.invite_server import InviteServer
from tas.sip.transaction.non_invite_client import NonInviteClient
from tas.sip.transaction.non_invite_server import NonInviteServer
from tas.sip.transaction.server import ServerTransaction
from tas.sip.transaction.states import ACCEPTED

__all__ = ["LayerSettings", "SipLayer"]

ANSWERABLE: Final = (b"via", b"from", b"to", b"call-id", b"cseq")
DIALOG_ONLY: Final = frozenset((b"BYE", b"INFO", b"UPDATE", b"PRACK"))
SHEDDABLE: Final = frozenset((b"INVITE", b"REGISTER"))
SHED_RETRY_S: Final = 10
"""Retry-After of shed requests is 1..10 s, at random, so that they do not all come back at once."""


class OwnRequest:
    """A request outside any dialog that our user asked for."""

    __slots__ = ("_core", "_key")

    def __init__(self, core: Core, key: int) -> None:
        self._core = core
        self._key = key

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """ClientUser."""
        if response.status >= 200:
            self._core.events.append(ResponseReceived(self._key, response, response.status))

    def on_failure(self, transaction: ClientTransaction, status: int, now: float) -> None:
        """ClientUser."""
        self._core.events.append(ResponseReceived(self._key, None, status))


class SipLayer:
    """The machine of the node: five verbs, and what its user may ask for."""

    __slots__ = ("_core", "_delivered", "_edge", "_last_key", "_screen", "_secret", "overloaded")

    def __init__(
        self, *, random: Callable[[int], bytes], settings: LayerSettings, trace: MessageTrace | None = None
    ) -> None:
        self._core = Core(random, settings, trace)
        self._screen = Screen(settings)
        self._secret = random(16)
        self._last_key = 0
        self._delivered: list[InviteUsage] = []
        self._edge: Edge | None = None
        self.overloaded = False
        """Set by the endpoint: new INVITE and REGISTER are shed with 503, dialogs go on."""

    @property
    def settings(self) -> LayerSettings:
        """How this node shows itself."""
        return self._core.settings

    def local_address(self, transport: str) -> Address:
        """Where we are reached over a transport."""
        return self._core.local_address(transport)

    def open_edge(self, is_node: Callable[[Address], bool]) -> Edge:
        """Let other nodes reach the phones on this node's connections."""
        self._edge = Edge(self._core, is_node)
        return self._edge

    def advertise_ports(self, udp: int, tcp: int) -> None:
        """The ports the kernel chose, for doors whose configured port is 0."""
        settings = self._core.settings
        if settings.udp is not None and settings.udp[1] == 0:
            settings.udp = (settings.udp[0], udp)
        if settings.tcp is not None and settings.tcp[1] == 0:
            settings.tcp = (settings.tcp[0], tcp)
        self._core.advertise()

    # In and out.

    def receive_message(self, message: Request | Response, flow: Flow, now: float) -> None:
        """A message from the network."""
        core = self._core
        try:
            if core.trace is not None:
                core.trace.record(message.call_id, now, False, flow, message.wire)
            if self._edge is not None and self._passes_edge(self._edge, message, flow, now):
                return
            if isinstance(message, Response):
                self._receive_response(message, now)
            else:
                self._receive_request(message, flow, now)
        except SipSyntaxError as error:
            if isinstance(message, Request):
                self.receive_error(rejection(message, 400, str(error)), flow, now)

    def receive_error(self, error: SipParseError, flow: Flow, now: float) -> None:
        """Bytes that are no message: answered when the parts of an answer are readable (RFC 3261 §8.2.7)."""
        request = error.partial
        if request is None or any(request.get(name) is None for name in ANSWERABLE):
            return
        self._reply(request, flow, error.status, error.reason.encode(), (), now)

    def connection_lost(self, connection: int, now: float) -> None:
        """A TCP connection is gone: what was sent on it and is unanswered has failed."""
        if self._edge is not None:
            self._edge.forget(connection)
        self._fail(self._core.flow_clients.get(connection), now)

    def send_failed(self, flow: Flow, now: float) -> None:
        """The flow could not be used: connecting failed, or the network refused."""
        if flow.reliable:
            self._fail(self._core.flow_clients.get(flow_key(flow)), now)
        else:
            self._fail({client for client in self._core.clients.values() if client.flow.remote == flow.remote}, now)

    def take_sends(self) -> list[Send]:
        """What is to be sent, in order."""
        core = self._core
        sends = core.sends
        if sends:
            core.sends = []
        return sends

    def take_events(self) -> list[Event]:
        """What the user has to know, in order."""
        core = self._core
        events = core.events
        if events:
            core.events = []
        if self._delivered:
            for usage in self._delivered:
                usage.owner = None
            self._delivered = []
        if core.over:
            self._delivered, core.over = core.over, []
        return events

    def has_events(self) -> bool:
        """Whether `take_events` would return any."""
        return bool(self._core.events)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is due."""
        return self._core.timers.next_deadline()

    def handle_timeout(self, now: float) -> None:
        """Run what is due."""
        self._core.timers.fire(now)

    def counts(self) -> dict[str, int]:
        """What is alive; all zero when every call is over and its timers have run out."""
        core = self._core
        return {
            "transactions": len(core.clients) + len(core.servers),
            "dialogs": sum(usage.dialog is not None for usage in core.usages.values()),
            "usages": len(core.usages),
            "timers": core.timers.running,
        }

    # What the user asks for.

    def invite(
        self,
        *,
        uri: bytes,
        flow: Flow,
        from_: bytes,
        to: bytes,
        body: bytes,
        headers: Sequence[Header] = (),
        call_id: bytes | None = None,
        cseq: int = 1,
        session: SessionPolicy = ACCEPT_ONLY,
        now: float,
    ) -> InviteUsage:
        """Call `uri` over `flow`; an empty body asks for the peer's offer. Route and Max-Forwards may be given."""
        core = self._core
        tag = core.tokens.tag()
        head, extra = self._head(uri, flow, from_ + b";tag=" + tag, to, headers, call_id, cseq)
        usage = InviteUsage(core, self._next_key(), head.call_id, tag, CALLING, flow)
        usage.start_calling(head, core.contacts[flow.transport] + core.capabilities + extra, body, session, now)
        return usage

    def request(
        self,
        *,
        method: bytes,
        uri: bytes,
        flow: Flow,
        from_: bytes,
        to: bytes,
        headers: Sequence[Header] = (),
        body: bytes = b"",
        now: float,
    ) -> int:
        """Send a request outside any dialog; the key comes back in ResponseReceived."""
        core = self._core
        key = self._next_key()
        head, extra = self._head(uri, flow, from_ + b";tag=" + core.tokens.tag(), to, headers, None, 1)
        data = head.render(method, core.contacts[flow.transport] + extra, body)
        NonInviteClient(core, method, head, flow, data, OwnRequest(core, key), now)
        return key

    def respond(
        self,
        transaction: ServerTransaction,
        status: int,
        reason: bytes | None = None,
        headers: Sequence[Header] = (),
        body: bytes = b"",
        *,
        now: float,
    ) -> None:
        """Answer a RequestReceived."""
        extra = self._core.server + render_headers(headers)
        transaction.respond(status, reason, extra, body, now=now)

    def _head(
        self,
        uri: bytes,
        flow: Flow,
        from_: bytes,
        to: bytes,
        headers: Sequence[Header],
        call_id: bytes | None,
        cseq: int,
    ) -> tuple[RequestHead, bytes]:
        core = self._core
        if call_id is None:
            call_id = core.tokens.call_id(core.host)
        head = RequestHead(uri, core.vias[flow.transport], core.tokens.branch(), from_, to, call_id, cseq)
        rest: list[Header] = []
        for header in headers:
            if header[0] == b"route":  # CANCEL and the ACK to a rejection repeat it
                head.routes += b"\r\nRoute: " + header[1]
            elif header[0] == b"max-forwards":
                head.max_forwards = header[1]
            else:
                rest.append(header)
        return head, core.identity + render_headers(rest)

    def _next_key(self) -> int:
        self._last_key += 1
        return self._last_key

    # What arrives.

    def _passes_edge(self, edge: Edge, message: Request | Response, flow: Flow, now: float) -> bool:
        if isinstance(message, Response):
            branch = own_branch(message) or b""
            return branch.startswith(BRANCH_PREFIX) and edge.receive_response(message, now)
        refusal = edge.receive_request(message, flow, now)
        if refusal:
            self._reply(message, mark_source(message, flow), refusal, None, (), now)
        return refusal != 0

    def _receive_response(self, response: Response, now: float) -> None:
        branch = own_branch(response)
        if branch is not None:
            transaction = self._core.clients.get((branch, response.cseq_method))
            if transaction is not None:  # else a stray: late, or never ours (§18.1.2)
                transaction.receive(response, now)

    def _receive_request(self, request: Request, flow: Flow, now: float) -> None:
        method = request.method
        core = self._core
        if method == b"ACK":
            self._receive_ack(request, now)
            return
        key = server_key(request, method)
        transaction = core.servers.get(key)
        if transaction is not None:
            transaction.receive(request, now)
            return
        source = mark_source(request, flow)
        if method == b"CANCEL":
            self._receive_cancel(request, key, source, now)
            return
        tag = request.to.tag
        if tag is None or method == b"REGISTER":
            self._receive_outside(request, key, flow, source, now)
            return
        usage = core.usages.get(tag)
        dialog = usage.find_dialog(request) if usage is not None and usage.call_id == request.call_id else None
        if usage is None or dialog is None:
            self._reply(request, source, 481, None, (), now)
        else:
            self._receive_inside(request, key, source, usage, dialog, now)

    def _receive_ack(self, request: Request, now: float) -> None:
        transaction = self._core.servers.get(server_key(request, b"INVITE"))
        if isinstance(transaction, InviteServer) and transaction.state != ACCEPTED:
            transaction.acknowledge(now)
            return
        usage = self._core.usages.get(request.to.tag or b"")
        if usage is not None and usage.call_id == request.call_id:
            usage.receive_ack(request, now)

    def _receive_cancel(self, request: Request, key: ServerKey, flow: Flow, now: float) -> None:
        invite = self._core.servers.get(server_key(request, b"INVITE"))
        if invite is None:
            self._reply(request, flow, 481, None, (), now)
            return
        transaction = NonInviteServer(self._core, key, request, flow)
        transaction.tag = invite.tag  # §9.2: the same as in the responses to the INVITE
        transaction.respond(200, None, self._core.server, now=now)
        if invite.usage is not None:
            invite.usage.receive_cancel(invite, now)

    def _receive_inside(
        self, request: Request, key: ServerKey, flow: Flow, usage: InviteUsage, dialog: Dialog, now: float
    ) -> None:
        if request.cseq <= dialog.remote_cseq:  # §12.2.2
            self._reply(request, flow, 500, b"CSeq out of order", (), now)
            return
        dialog.remote_cseq = request.cseq
        method = request.method
        refusal = self._screen.content(request)
        if refusal is not None:
            self._reply(request, flow, refusal[0], None, refusal[1], now)
        elif method == b"INVITE":
            usage.receive_offer(request, InviteServer(self._core, key, request, flow, now), now)
        elif method == b"BYE":
            usage.receive_bye(NonInviteServer(self._core, key, request, flow), now)
        elif method == b"UPDATE":
            usage.receive_offer(request, NonInviteServer(self._core, key, request, flow), now)
        elif method == b"INFO":
            usage.receive_info(request, NonInviteServer(self._core, key, request, flow), now)
        elif method == b"OPTIONS":
            self._reply(request, flow, 200, None, ((b"allow", self._core.settings.allow),), now)
        else:
            self._reply(request, flow, 405, None, ((b"allow", self._core.settings.allow),), now)

    def _receive_outside(self, request: Request, key: ServerKey, flow: Flow, source: Flow, now: float) -> None:
        core = self._core
        verdict = validate(request)
        if verdict is not None:
            self._reply(request, source, verdict[0], verdict[1].encode(), (), now)
            return
        method = request.method
        merge_key = (request.from_.tag or b"", request.call_id, request.get(b"cseq") or b"")
        refusal = self._refusal(request, merge_key)
        if refusal is not None:
            self._reply(request, source, refusal[0], None, refusal[1], now)
            return
        transaction: ServerTransaction
        if method == b"INVITE":
            transaction = self._receive_invite(request, key, flow, source, now)
        else:
            transaction = NonInviteServer(core, key, request, source)
            core.events.append(RequestReceived(transaction, request, flow))
        transaction.merge_key = merge_key
        core.merged[merge_key] = transaction

    def _receive_invite(self, request: Request, key: ServerKey, flow: Flow, source: Flow, now: float) -> InviteServer:
        core = self._core
        transaction = InviteServer(core, key, request, source, now)
        usage = InviteUsage(core, self._next_key(), request.call_id, core.tokens.tag(), INVITED, flow)
        usage.start_invited(request, transaction)
        core.events.append(InviteReceived(usage, request, flow))
        return transaction

    def _refusal(self, request: Request, merge_key: tuple[bytes, bytes, bytes]) -> Refusal | None:
        method = request.method
        refusal = self._screen.method(request)
        if refusal is not None:
            return refusal
        if merge_key in self._core.merged:  # §8.2.2.2: the same request came over two paths
            return 482, []
        if method in DIALOG_ONLY:
            return 481, []
        if self.overloaded and method in SHEDDABLE:
            return 503, [(b"retry-after", b"%d" % (1 + self._core.random_below(SHED_RETRY_S)))]
        if method == b"INVITE" and request.max_forwards == 0:  # a B2BUA sends it on, unlike other requests
            return 483, []
        return self._screen.target(request) or self._screen.content(request)

    def _reply(
        self,
        request: Request,
        flow: Flow,
        status: int,
        reason: bytes | None,
        headers: Sequence[Header],
        now: float,
    ) -> None:
        """Answer without a transaction; the tag is computed, so that a repetition gets the same (§8.2.7)."""
        if request.method == b"ACK":
            return
        call_id = request.get(b"call-id") or b""
        seed = call_id + (request.get(b"cseq") or b"") + (request.get(b"via") or b"")
        tag = blake2s(seed, key=self._secret, digest_size=8).hexdigest().encode()
        response = make_response(request, status, reason, to_tag=tag, headers=headers)
        self._core.send(flow, serialize(response), call_id, now)

    def _fail(self, clients: set[ClientTransaction] | None, now: float) -> None:
        for client in list(clients or ()):
            client.fail(now)
