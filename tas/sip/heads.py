"""The header lines that messages of one transaction or dialog share, rendered once and reused as bytes."""

from collections.abc import Sequence

from tas.sip.message import Header, Request
from tas.sip.names import CONTENT_LENGTH, REASONS, wire_prefix

MAX_FORWARDS_START = b"70"  # RFC 3261 §8.1.1.6


def render_headers(headers: Sequence[Header]) -> bytes:
    """Extra header lines, each with the line break before it; Content-Length is left to the renderer."""
    return b"".join([wire_prefix(name) + _one_line(value) for name, value in headers if name != CONTENT_LENGTH])


def _one_line(value: bytes) -> bytes:
    # A line break inside a value would let its author add headers or a whole message.
    if b"\n" in value or b"\r" in value:
        return value.replace(b"\r", b" ").replace(b"\n", b" ")
    return value


class RequestHead:
    """What an INVITE, its CANCEL and the ACK to its rejection have in common (RFC 3261 §9.1, §17.1.1.3)."""

    __slots__ = ("branch", "call_id", "cseq", "from_", "max_forwards", "routes", "to", "uri", "via")

    def __init__(
        self,
        uri: bytes,
        via: bytes,
        branch: bytes,
        from_: bytes,
        to: bytes,
        call_id: bytes,
        cseq: int,
        routes: bytes = b"",
        max_forwards: bytes = MAX_FORWARDS_START,
    ) -> None:
        self.uri = uri
        self.via = via  # up to and with ";branch="
        self.branch = branch
        self.from_ = from_
        self.to = to
        self.call_id = call_id
        self.cseq = cseq
        self.routes = routes  # rendered Route lines
        self.max_forwards = max_forwards

    def render(self, method: bytes, extra: bytes = b"", body: bytes = b"") -> bytes:
        """The request on the wire; `extra` holds rendered header lines."""
        return b"%b %b SIP/2.0\r\nVia: %b%b%b\r\nMax-Forwards: %b\r\nFrom: %b\r\nTo: %b\r\nCall-ID: %b\r\nCSeq: %d %b%b\r\nContent-Length: %d\r\n\r\n%b" % (  # noqa: E501
            method, self.uri, self.via, self.branch, self.routes, self.max_forwards, self.from_, self.to,
            self.call_id, self.cseq, method, extra, len(body), body,
        )  # fmt: skip


class ReplyHead:
    """What all responses to one request copy from it (RFC 3261 §8.2.6.2, §12.1.1)."""

    __slots__ = ("before_tag", "call_id", "cseq", "from_call", "record_routes", "tagged", "timestamp")

    def __init__(self, request: Request) -> None:
        vias = routes = timestamp = from_ = to = cseq = b""
        for name, value in request.headers:
            if name == b"via":
                vias += b"\r\nVia: " + value
            elif name == b"record-route":
                routes += b"\r\nRecord-Route: " + value
            elif name == b"from":
                from_ = value
            elif name == b"to":
                to = value
            elif name == b"cseq":
                cseq = value
            elif name == b"timestamp":
                timestamp = b"\r\nTimestamp: " + value
        self.call_id = request.call_id
        self.cseq = request.cseq
        self.before_tag = b"%b\r\nFrom: %b\r\nTo: %b" % (vias, from_, to)
        self.from_call = b"\r\nCall-ID: %b\r\nCSeq: %b" % (self.call_id, cseq)
        self.tagged = request.to.tag is not None
        self.record_routes = routes
        self.timestamp = timestamp

    def render(
        self, status: int, reason: bytes | None, tag: bytes = b"", extra: bytes = b"", body: bytes = b""
    ) -> bytes:
        """The response on the wire; `tag` is added unless the request's To has one."""
        if reason is None:
            reason = REASONS.get(status, b"")
        tag = b";tag=" + tag if tag and not self.tagged else b""
        if status == 100:
            extra = self.timestamp + extra
        elif status < 300:
            extra = self.record_routes + extra
        return b"SIP/2.0 %d %b%b%b%b%b\r\nContent-Length: %d\r\n\r\n%b" % (
            status, reason, self.before_tag, tag, self.from_call, extra, len(body), body,
        )  # fmt: skip
