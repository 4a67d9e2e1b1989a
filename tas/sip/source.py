"""Where a request came from: its transaction key, and the marks its top Via gets (RFC 3261 §17.2.3, RFC 3581)."""

import re
from collections.abc import Callable
from typing import Final

from tas.sip.core import ServerKey
from tas.sip.dialog import DEFAULT_PORT
from tas.sip.flow import Flow
from tas.sip.headers import MAGIC_COOKIE, split_commas
from tas.sip.message import Request, Response
from tas.sip.tokens import BRANCH_DIGITS

OUR_BRANCH: Final = b";branch=" + MAGIC_COOKIE
BRANCH_LENGTH: Final = len(MAGIC_COOKIE) + BRANCH_DIGITS
AFTER_BRANCH: Final = (b"", b";", b",")
EMPTY_RPORT: Final = re.compile(rb";[ \t]*rport[ \t]*(?=;|,|$)", re.IGNORECASE)


def server_key(request: Request, method: bytes) -> ServerKey:
    """The key of the server transaction; `method` is INVITE when looking for what an ACK or CANCEL refers to."""
    via = request.via
    if via.has_cookie:
        return via.params[b"branch"] or b"", via.host, b"%d" % (via.port or 0), method
    # RFC 2543 peers: what a retransmission, ACK or CANCEL has in common with its request.
    tag = request.from_.tag or b""
    top = split_commas(request.get(b"via") or b"")[0]
    return request.uri, tag, request.call_id, b"%d" % request.cseq, top, method


def own_branch(response: Response) -> bytes | None:
    """The branch in the top Via of a response, which is the Via we wrote: it need not be parsed."""
    top = response.get(b"via") or b""
    start = top.find(OUR_BRANCH) + 8
    if start < 8:
        return response.via.branch  # somebody rewrote it
    end = start + BRANCH_LENGTH
    return top[start:end] if top[end : end + 1] in AFTER_BRANCH else response.via.branch


def mark_source(request: Request, flow: Flow) -> Flow:
    """Write `received` and `rport` into the top Via; returns the flow that responses take (§18.2.2)."""
    via = request.via
    params = via.params
    host = flow.remote[0].encode()
    if b"rport" in params:
        if params[b"rport"] is None:
            params[b"rport"] = b"%d" % flow.remote[1]
            params[b"received"] = host
            marks = b";rport=%d;received=%b" % (flow.remote[1], host)
            _rewrite(request, lambda top: EMPTY_RPORT.sub(marks, top, count=1))
        return flow
    if via.host != host and via.host.strip(b"[]") != host:
        params[b"received"] = host
        _rewrite(request, lambda top: top + b";received=" + host)
    port = via.port or DEFAULT_PORT
    if flow.reliable or port == flow.remote[1]:
        return flow
    # Without rport the answer goes to the port the Via names, as RFC 3261 had it first.
    return Flow("udp", (flow.remote[0], port), flow.local)


def _rewrite(request: Request, change: Callable[[bytes], bytes]) -> None:
    headers = request.headers
    for index, (name, value) in enumerate(headers):
        if name == b"via":
            top, *others = split_commas(value)
            headers[index] = (b"via", b", ".join((change(top), *others)))
            return
