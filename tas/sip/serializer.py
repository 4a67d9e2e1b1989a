"""Messages to bytes, and the rules for the headers every request and response carries."""

from collections.abc import Sequence

from tas.sip.grammar import SipSyntaxError
from tas.sip.message import Header, Message, Request, Response
from tas.sip.names import CONTENT_LENGTH, PREFIXES, REASONS, wire_prefix

__all__ = ["REASONS", "make_request", "make_response", "serialize"]


def serialize(message: Request | Response) -> bytes:
    """The message on the wire; Content-Length is always the true one, at the end when it was not among the headers."""
    body = message.body
    if isinstance(message, Request):
        start = b"%b %b SIP/2.0" % (message.method, message.uri)
    else:
        start = b"SIP/2.0 %d %b" % (message.status, message.reason)
    parts = [start]
    known = PREFIXES.get
    measured = False
    for name, value in message.headers:
        prefix = known(name)
        if prefix is None:
            if name == CONTENT_LENGTH:
                if measured:
                    continue
                measured = True
                value = b"%d" % len(body)
            prefix = wire_prefix(name)
        parts.append(prefix)
        parts.append(value)
    if not measured:
        parts.append(b"\r\nContent-Length: ")
        parts.append(b"%d" % len(body))
    parts.append(b"\r\n\r\n")
    head = b"".join(parts)
    # A line break inside a value would let its author add headers or a whole message.
    lines = len(parts) // 2 + 1
    if head.count(b"\n") != lines or head.count(b"\r") != lines:
        return serialize(_without_breaks(message))
    return head + body if body else head


def _one_line(text: bytes) -> bytes:
    return text.replace(b"\r", b" ").replace(b"\n", b" ")


def _without_breaks(message: Request | Response) -> Request | Response:
    headers = [(_one_line(name), _one_line(value)) for name, value in message.headers]
    if isinstance(message, Request):
        return Request(_one_line(message.method), _one_line(message.uri), headers, message.body)
    return Response(message.status, _one_line(message.reason), headers, message.body)


def make_response(
    request: Request,
    status: int,
    reason: bytes | None = None,
    *,
    to_tag: bytes = b"",
    headers: Sequence[Header] = (),
    body: bytes = b"",
    content_type: bytes = b"application/sdp",
) -> Response:
    """A response with what RFC 3261 §8.2.6 copies from the request; `to_tag` is added only when To has no tag."""
    own: list[Header] = []
    tail: list[Header] = []
    dialog = 100 < status < 300
    for header in request.headers:
        name = header[0]
        if name == b"via" or (name == b"record-route" and dialog):
            own.append(header)
        elif name == b"to":
            tail.append((name, _with_tag(request, header[1], to_tag)) if to_tag else header)
        elif name in (b"from", b"call-id", b"cseq") or (name == b"timestamp" and status == 100):
            tail.append(header)
    own += tail
    own += headers
    if body:
        own.append((b"content-type", content_type))
    return Response(status, REASONS.get(status, b"") if reason is None else reason, own, body)


def _with_tag(request: Message, raw: bytes, tag: bytes) -> bytes:
    try:
        if request.to.tag is not None:
            return raw
    except SipSyntaxError:
        return raw  # a malformed To is echoed as it came
    return raw + b";tag=" + tag


def make_request(
    method: bytes,
    uri: bytes,
    headers: Sequence[Header],
    body: bytes = b"",
    content_type: bytes = b"application/sdp",
) -> Request:
    """A request of exactly these headers, and Content-Type when there is a body."""
    own = list(headers)
    if body:
        own.append((b"content-type", content_type))
    return Request(method, uri, own, body)
