"""The edge: reaches phones on this node's connections for the node that serves their calls (RFC 3327, RFC 5626).

Stateless. A registration over TCP or TLS gets a Path with a signed token that names its connection. A request whose
top Route carries a token of ours is sent on: down that connection, or, when it came up that very connection, to the
node it is for. The Via we add remembers where the answer goes, the Record-Route keeps the dialog on this path.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2s
from hmac import compare_digest
from typing import Final

from tas.sip.core import Core, host_port, is_sips
from tas.sip.dialog import next_hop
from tas.sip.flow import NO_CONNECTION, Address, Flow, TransportName
from tas.sip.grammar import SipSyntaxError
from tas.sip.headers import MAGIC_COOKIE, parse_name_addr, split_commas
from tas.sip.message import Request, Response
from tas.sip.serializer import serialize
from tas.sip.source import mark_source

BRANCH_PREFIX: Final = MAGIC_COOKIE + b"edge"
TOKEN_PREFIX: Final = b"flow-"
MAC_BYTES: Final = 10
"""80 bits: a token cannot be guessed in the life of a connection."""
FLOW_PARAM: Final = b"opentas-flow"
DIALOG_MAKING: Final = frozenset((b"INVITE", b"SUBSCRIBE", b"REFER"))

Refusal = int


class Edge:
    """One node's edge; flows are known from their registration until their connection is lost."""

    __slots__ = ("_core", "_flows", "_is_node", "_secret")

    def __init__(self, core: Core, is_node: Callable[[Address], bool]) -> None:
        """`is_node` tells the addresses of other nodes; phones are let through to these only."""
        self._core = core
        self._is_node = is_node
        self._secret = core.random(16)  # tokens die with the process, as the connections do
        self._flows: dict[int, Flow] = {}

    def __len__(self) -> int:
        return len(self._flows)

    def path(self, flow: Flow) -> bytes:
        """The Path of a registration that came over the connection `flow`."""
        self._flows[flow.connection] = flow
        return self._route(flow, self._token(flow.connection))

    def forget(self, connection: int) -> None:
        """The connection is lost; requests for it get 430 from now on."""
        self._flows.pop(connection, None)

    def receive_request(self, request: Request, flow: Flow, now: float) -> Refusal | None:
        """Send on a request with a token of ours, None when done; else the status to refuse it with, 0: not ours."""
        connection = self._connection_of(request)
        if connection is None:
            return 0
        target = self._flows.get(connection)
        if target is None or not target.alive:
            return 430  # RFC 5626 §5.3.1: Flow Failed
        hops = request.max_forwards
        if hops == 0:
            return 483
        if target is flow:
            onward = self._to_node(request)
            if onward is None:
                return 403
            target = onward
        self._forward(request, flow, target, self._token(connection), 70 if hops is None else hops - 1, now)
        return None

    def receive_response(self, response: Response, now: float) -> bool:
        """Send an answer back the way its request came; False when it is not of the edge."""
        branch = response.via.branch
        if branch is None or not branch.startswith(BRANCH_PREFIX):
            return False
        token = response.via.params.get(FLOW_PARAM)
        vias = response.vias_raw
        if len(vias) < 2:
            return True  # nobody to give it to
        index = next(place for place, header in enumerate(response.headers) if header[0] == b"via")
        response.remove(b"via")
        response.headers[index:index] = [(b"via", via) for via in vias[1:]]
        flow = self._flows.get(self._verified(token) or 0) if token else _flow_of_via(response)
        if flow is not None and flow.alive:
            self._core.send(flow, serialize(response), response.call_id, now)
        return True

    def _connection_of(self, request: Request) -> int | None:
        route = request.get(b"route")
        if route is None or TOKEN_PREFIX not in route:
            return None
        try:
            uri = parse_name_addr(split_commas(route)[0]).parsed_uri()
        except SipSyntaxError:
            return None
        return self._verified(uri.user or b"")

    def _to_node(self, request: Request) -> Flow | None:
        """Where a phone's request inside a dialog goes: to another node, never anywhere else."""
        hop = next_hop(request.uri)
        if request.to.tag is None or hop.address is None or not self._is_node(hop.address):
            return None
        return Flow(hop.transport, hop.address)

    def _forward(self, request: Request, source: Flow, target: Flow, token: bytes, hops: int, now: float) -> None:
        mark_source(request, source)
        # §16.11: computed from the incoming branch, so that retransmissions, ACK and CANCEL take the same one.
        via = request.via
        seed = b"%b %b %d" % (via.branch or request.call_id, via.host, via.port or 0)
        branch = BRANCH_PREFIX + blake2s(seed, key=self._secret, digest_size=MAC_BYTES).hexdigest().encode()
        back = b";%b=%b" % (FLOW_PARAM, self._token(source.connection)) if source.connection in self._flows else b""
        routes = request.routes[1:]
        request.remove(b"route")
        if request.method in DIALOG_MAKING:
            phone = source if target.connection == NO_CONNECTION else target
            request.prepend(b"record-route", self._route(phone, token, is_sips(request.uri)))
        for route in reversed(routes):
            request.prepend(b"route", route)
        request.set(b"max-forwards", b"%d" % hops)
        request.prepend(b"via", self._core.vias[target.transport] + branch + back)
        self._core.send(target, serialize(request), request.call_id, now)

    def _route(self, phone: Flow, token: bytes, sips: bool = False) -> bytes:
        """The hop between nodes is as safe as the one to the phone."""
        settings = self._core.settings
        secure = phone.transport == "tls"
        address = (settings.tls if secure else None) or settings.tcp or settings.udp or ("127.0.0.1", 5060)
        if secure and sips:
            return b"<sips:%b@%b;lr>" % (token, host_port(address))
        return b"<sip:%b@%b;transport=%b;lr>" % (token, host_port(address), b"tls" if secure else b"tcp")

    def _token(self, connection: int) -> bytes:
        number = b"%d" % connection
        mac = blake2s(number, key=self._secret, digest_size=MAC_BYTES).hexdigest().encode()
        return TOKEN_PREFIX + number + b"-" + mac

    def _verified(self, token: bytes) -> int | None:
        number = token[len(TOKEN_PREFIX) :].partition(b"-")[0]
        if not number.isdigit() or not compare_digest(token, self._token(int(number))):
            return None
        return int(number)


def _flow_of_via(response: Response) -> Flow | None:
    """The way back to a node: the address its request came from, as we marked it (RFC 3261 §18.2.2)."""
    via = response.via
    host = via.params.get(b"received") or via.host
    port = via.params.get(b"rport")
    hop = next_hop(b"sip:%b:%b" % (host, port if port else b"%d" % (via.port or 5060)))
    if hop.address is None:
        return None
    transport: TransportName = "udp" if via.transport == b"UDP" else "tls" if via.transport == b"TLS" else "tcp"
    return Flow(transport, hop.address)
