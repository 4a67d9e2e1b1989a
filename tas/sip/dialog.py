"""Dialogs (RFC 3261 §12): the peers' tags, the CSeq of each side, the frozen route set and where requests go."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from tas.sip.flow import Address, Flow, TransportName
from tas.sip.grammar import SipSyntaxError
from tas.sip.headers import parse_name_addr
from tas.sip.heads import RequestHead
from tas.sip.message import Message, Request, Response
from tas.sip.uri import parse_uri

DEFAULT_PORT: Final = 5060
DEFAULT_TLS_PORT: Final = 5061
STREAMS: Final[dict[bytes, TransportName]] = {b"tcp": "tcp", b"tls": "tls"}
"""The transport parameters that lead away from UDP."""
NEXT_HOP_CACHE: Final = 4096
"""Next hops remembered: trunks have few, phones one each."""
IP_LITERAL: Final = re.compile(rb"\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]+\]")


class NextHop:
    """Where a URI points to, without DNS."""

    __slots__ = ("address", "loose", "transport")

    def __init__(self, address: Address | None, transport: TransportName, loose: bool) -> None:
        self.address = address  # None: a name, which needs a resolver
        self.transport: TransportName = transport
        self.loose = loose  # has the lr parameter (RFC 3261 §16.12)


@lru_cache(maxsize=NEXT_HOP_CACHE)
def next_hop(uri: bytes) -> NextHop:
    """The host, port and transport of a URI; a malformed one has no address."""
    try:
        parsed = parse_uri(uri)
    except SipSyntaxError:
        return NextHop(None, "udp", True)
    transport: TransportName = STREAMS.get((parsed.params.get(b"transport") or b"").lower(), "udp")
    if parsed.scheme == b"sips":
        transport = "tls"  # transport=tcp in a sips: URI means TLS over TCP (RFC 5630 §3.1.2)
    loose = b"lr" in parsed.params
    if not IP_LITERAL.fullmatch(parsed.host):
        return NextHop(None, transport, loose)
    host = parsed.host.strip(b"[]").decode()
    port = parsed.port or (DEFAULT_TLS_PORT if transport == "tls" else DEFAULT_PORT)
    return NextHop((host, port), transport, loose)


class Dialog:
    """One dialog; `local` and `remote` are the From and To values of our requests, tags included."""

    __slots__ = (
        "call_id", "flow", "local", "local_cseq", "local_tag", "proven", "remote", "remote_cseq", "remote_tag",
        "routes", "target",
    )  # fmt: skip

    def __init__(self, call_id: bytes, local: bytes, local_tag: bytes, remote: bytes, remote_tag: bytes) -> None:
        self.call_id = call_id
        self.local = local
        self.local_tag = local_tag
        self.remote = remote
        self.remote_tag = remote_tag
        self.local_cseq = 0
        self.remote_cseq = -1
        self.target = b""
        self.routes: tuple[bytes, ...] = ()
        self.flow: Flow
        self.proven: Address | None = None
        """An address the peer calls its own, but that was reached through `flow` (NAT, outbound proxy)."""

    def head(self, via: bytes, branch: bytes, cseq: int) -> RequestHead:
        """The head of a request inside this dialog (§12.2.1.1)."""
        uri = self.target
        lines = b""
        if self.routes:
            routes = self.routes
            first = route_uri(routes[0])
            if not next_hop(first).loose:  # a strict router wants itself in the Request-URI and the target last
                routes = (*routes[1:], b"<" + uri + b">")
                uri = first
            lines = b"".join([b"\r\nRoute: " + route for route in routes])
        return RequestHead(uri, via, branch, self.local, self.remote, self.call_id, cseq, lines)

    def next_flow(self) -> Flow:
        """The flow of the next request: a living connection, else where route set or target point to."""
        flow = self.flow
        if flow.reliable and flow.alive:
            return flow
        hop = next_hop(route_uri(self.routes[0]) if self.routes else self.target)
        address = hop.address
        if address is None or address == self.proven:
            return flow  # names like `x.invalid`, and addresses behind a NAT, are where the peer last spoke from
        if hop.transport == flow.transport and address == flow.remote:
            return flow
        return Flow(hop.transport, address, flow.local)

    def refresh(self, message: Message) -> None:
        """Take over the peer's new Contact (§12.2): from its re-INVITE or UPDATE, or from the 2xx to ours."""
        contact = message.contact
        if contact is not None:
            self.target = contact.uri


def dialog_as_server(request: Request, local_tag: bytes, flow: Flow) -> Dialog:
    """The dialog that our response with `local_tag` to `request` makes (§12.1.1)."""
    local = (request.get(b"to") or b"") + b";tag=" + local_tag
    dialog = Dialog(request.call_id, local, local_tag, request.get(b"from") or b"", request.from_.tag or b"")
    dialog.remote_cseq = request.cseq
    contact = request.contact
    dialog.target = contact.uri if contact is not None else request.from_.uri
    dialog.routes = tuple(request.record_routes)
    dialog.flow = flow
    via = request.via
    port = via.port or (DEFAULT_TLS_PORT if flow.transport == "tls" else DEFAULT_PORT)
    if flow.reliable:  # its port is that of the connection, whoever made it: only the host tells of a NAT
        behind = via.host.strip(b"[]") != flow.remote[0].encode()
    else:
        behind = bool(via.params.get(b"received")) or port != flow.remote[1]
    if behind:
        dialog.proven = next_hop(b"sip:%b:%d" % (via.host, port)).address
    return dialog


def dialog_as_client(head: RequestHead, local_tag: bytes, response: Response, flow: Flow) -> Dialog:
    """The dialog that a response with To-tag to our INVITE makes (§12.1.2)."""
    dialog = Dialog(head.call_id, head.from_, local_tag, response.get(b"to") or head.to, response.to.tag or b"")
    dialog.local_cseq = head.cseq
    contact = response.contact
    dialog.target = contact.uri if contact is not None else head.uri
    routes = response.record_routes
    routes.reverse()
    dialog.routes = tuple(routes)
    dialog.flow = flow
    asked = next_hop(head.uri).address
    if asked != flow.remote:
        dialog.proven = asked
    return dialog


def route_uri(route: bytes) -> bytes:
    """The URI of a Route or Record-Route value, empty when it is malformed."""
    try:
        return parse_name_addr(route).uri
    except SipSyntaxError:
        return b""
