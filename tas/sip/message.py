"""Requests and responses: headers stay bytes, and the few that route a message are parsed when touched."""

from tas.sip.grammar import SipSyntaxError, parse_number
from tas.sip.headers import NameAddr, Via, parse_name_addr, parse_via, split_commas
from tas.sip.uri import Uri, parse_uri

__all__ = ["MAX_CSEQ", "MAX_FORWARDS_LIMIT", "Header", "Message", "Request", "Response", "SipSyntaxError"]

Header = tuple[bytes, bytes]

MAX_CSEQ = 2**31 - 1  # RFC 3261 §8.1.1.5
MAX_FORWARDS_LIMIT = 255  # RFC 3261 §20.22


class Message:
    """What requests and responses share.

    `headers` holds (long lower-case name, unfolded and stripped value). Parsed values are cached: change a header
    through `set`, `remove` or `prepend`, which drop the cache. The properties raise SipSyntaxError unless
    `parser.validate` has accepted the message.
    """

    __slots__ = ("_call_id", "_contact", "_cseq", "_cseq_method", "_from", "_to", "_via", "body", "headers", "wire")

    def __init__(self, headers: list[Header], body: bytes) -> None:
        self.headers = headers
        self.body = body
        self.wire = b""
        """As received, for the trace; what is changed afterwards does not show here."""
        self._via: Via | None = None
        self._from: NameAddr | None = None
        self._to: NameAddr | None = None
        self._contact: NameAddr | None = None
        self._call_id = b""
        self._cseq = -1
        self._cseq_method = b""

    def _forget(self) -> None:
        self._via = None
        self._from = None
        self._to = None
        self._contact = None
        self._call_id = b""
        self._cseq = -1
        self._cseq_method = b""

    def get(self, name: bytes) -> bytes | None:
        """The first value line of header `name`."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    def get_all(self, name: bytes) -> list[bytes]:
        """Every line of header `name`, as received."""
        return [value for key, value in self.headers if key == name]

    def values(self, name: bytes) -> list[bytes]:
        """Every value of header `name`, comma lists split; empty elements are left out."""
        found: list[bytes] = []
        for key, value in self.headers:
            if key == name:
                found.extend(part for part in split_commas(value) if part)
        return found

    def set(self, name: bytes, value: bytes) -> None:
        """Replace the first line of header `name` in its place, or add one at the end."""
        self._forget()
        for index, (key, _) in enumerate(self.headers):
            if key == name:
                self.headers[index] = (name, value)
                return
        self.headers.append((name, value))

    def prepend(self, name: bytes, value: bytes) -> None:
        """Put a line before all others, as a new top Via or Record-Route needs."""
        self._forget()
        self.headers.insert(0, (name, value))

    def remove(self, name: bytes) -> None:
        """Take out every line of header `name`."""
        self._forget()
        self.headers[:] = [header for header in self.headers if header[0] != name]

    def _need(self, name: bytes, wire: str) -> bytes:
        for key, value in self.headers:
            if key == name:
                return value
        raise SipSyntaxError(f"missing {wire}")

    @property
    def via(self) -> Via:
        """The top Via."""
        via = self._via
        if via is None:
            raw = self._need(b"via", "Via")
            if b"," in raw:
                raw = split_commas(raw)[0]
            via = self._via = parse_via(raw)
        return via

    @property
    def vias_raw(self) -> list[bytes]:
        """All Via values, topmost first."""
        return self.values(b"via")

    @property
    def from_(self) -> NameAddr:
        """From."""
        parsed = self._from
        if parsed is None:
            parsed = self._from = parse_name_addr(self._need(b"from", "From"))
        return parsed

    @property
    def to(self) -> NameAddr:
        """To."""
        parsed = self._to
        if parsed is None:
            parsed = self._to = parse_name_addr(self._need(b"to", "To"))
        return parsed

    @property
    def call_id(self) -> bytes:
        """Call-ID."""
        call_id = self._call_id
        if not call_id:
            call_id = self._need(b"call-id", "Call-ID")
            if not call_id or b" " in call_id or b"\t" in call_id:
                raise SipSyntaxError("malformed Call-ID")
            self._call_id = call_id
        return call_id

    @property
    def cseq(self) -> int:
        """The number of CSeq."""
        if self._cseq < 0:
            self._parse_cseq()
        return self._cseq

    @property
    def cseq_method(self) -> bytes:
        """The method of CSeq."""
        if self._cseq < 0:
            self._parse_cseq()
        return self._cseq_method

    def _parse_cseq(self) -> None:
        words = self._need(b"cseq", "CSeq").split()
        if len(words) != 2:
            raise SipSyntaxError("malformed CSeq")
        self._cseq_method = words[1]
        self._cseq = parse_number(words[0], "CSeq", MAX_CSEQ)

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact; `Contact: *` has the uri b"*"."""
        parsed = self._contact
        if parsed is None:
            raw = self.get(b"contact")
            if raw is None:
                return None
            parsed = self._contact = NameAddr(b"", raw, {}) if raw == b"*" else parse_name_addr(split_commas(raw)[0])
        return parsed

    @property
    def routes(self) -> list[bytes]:
        """Route values, topmost first."""
        return self.values(b"route")

    @property
    def record_routes(self) -> list[bytes]:
        """Record-Route values, topmost first."""
        return self.values(b"record-route")

    @property
    def max_forwards(self) -> int | None:
        """Max-Forwards, None when absent (RFC 2543 peers)."""
        raw = self.get(b"max-forwards")
        return None if raw is None else parse_number(raw, "Max-Forwards", MAX_FORWARDS_LIMIT)

    @property
    def content_type(self) -> bytes:
        """The media type in lower case, without parameters; empty when absent."""
        raw = self.get(b"content-type")
        return b"" if raw is None else raw.partition(b";")[0].strip().lower()


class Request(Message):
    """A SIP request."""

    __slots__ = ("_parsed_uri", "method", "uri")

    def __init__(self, method: bytes, uri: bytes, headers: list[Header], body: bytes = b"") -> None:
        super().__init__(headers, body)
        self.method = method
        self.uri = uri
        self._parsed_uri: Uri | None = None

    def parsed_uri(self) -> Uri:
        """The Request-URI, parsed once; raises SipSyntaxError."""
        parsed = self._parsed_uri
        if parsed is None:
            parsed = self._parsed_uri = parse_uri(self.uri)
        return parsed

    def __repr__(self) -> str:
        return f"Request({self.method!r}, {self.uri!r})"


class Response(Message):
    """A SIP response."""

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: bytes, headers: list[Header], body: bytes = b"") -> None:
        super().__init__(headers, body)
        self.status = status
        self.reason = reason

    def __repr__(self) -> str:
        return f"Response({self.status}, {self.reason!r})"
