"""Structured header values: name-addr (From, To, Contact, Route, ...) and Via."""

from typing import Final

from tas.sip.grammar import (
    TOKEN_CHARS,
    SipSyntaxError,
    end_of_quoted,
    parse_host_port,
    parse_params,
    quote,
    split_outside,
    unquote,
)
from tas.sip.uri import Uri, parse_uri

__all__ = [
    "MAGIC_COOKIE",
    "NameAddr",
    "SipSyntaxError",
    "Via",
    "format_name_addr",
    "parse_name_addr",
    "parse_via",
    "split_commas",
]

MAGIC_COOKIE: Final = b"z9hG4bK"
VERSION: Final = b"SIP/2.0"
TRANSPORTS: Final[dict[bytes, bytes]] = {
    b"SIP/2.0/" + name: name for name in (b"UDP", b"TCP", b"TLS", b"WS", b"WSS", b"SCTP")
}


class NameAddr:
    """`"display" <uri>;params`: `uri` and the values of `params` are as received."""

    __slots__ = ("_display", "_parsed", "params", "uri")

    def __init__(self, display: bytes, uri: bytes, params: dict[bytes, bytes | None]) -> None:
        self._display = display
        self.uri = uri
        self.params = params
        self._parsed: Uri | None = None

    @property
    def display(self) -> bytes:
        """The display name as plain text: no quotes, escapes resolved; empty when absent."""
        return unquote(self._display)

    @property
    def tag(self) -> bytes | None:
        """The tag parameter, None when absent or empty."""
        return self.params.get(b"tag") or None

    def parsed_uri(self) -> Uri:
        """The URI, parsed once; raises SipSyntaxError."""
        parsed = self._parsed
        if parsed is None:
            parsed = self._parsed = parse_uri(self.uri)
        return parsed

    def __bytes__(self) -> bytes:
        return format_name_addr(self.display, self.uri, self.params)


class Via:
    """One Via value; `host` is in lower case, IPv6 with brackets, `transport` in upper case."""

    __slots__ = ("host", "params", "port", "transport")

    def __init__(self, transport: bytes, host: bytes, port: int | None, params: dict[bytes, bytes | None]) -> None:
        self.transport = transport
        self.host = host
        self.port = port
        self.params = params

    @property
    def branch(self) -> bytes | None:
        """The branch parameter, None when absent or empty (RFC 2543 peers)."""
        return self.params.get(b"branch") or None

    @property
    def has_cookie(self) -> bool:
        """True when the branch identifies a transaction (RFC 3261 §17.2.3); the bare cookie does not."""
        branch = self.params.get(b"branch")
        return branch is not None and len(branch) > len(MAGIC_COOKIE) and branch.startswith(MAGIC_COOKIE)

    def __bytes__(self) -> bytes:
        port = b"" if self.port is None else b":%d" % self.port
        return VERSION + b"/" + self.transport + b" " + self.host + port + _format_params(self.params)


def split_commas(raw: bytes) -> list[bytes]:
    """The values of a comma list, quotes and angle brackets respected."""
    return split_outside(raw, b",") if b"," in raw else [raw]


def parse_name_addr(raw: bytes) -> NameAddr:
    """Parse one name-addr or addr-spec with its header parameters; the URI itself waits for `parsed_uri`."""
    display = b""
    begin = 0
    if raw[:1] == b'"':
        begin = end_of_quoted(raw, 0)
        display = raw[:begin]
    left = raw.find(b"<", begin)
    if left < 0:
        return _parse_addr_spec(raw)
    right = raw.find(b">", left)
    if right < 0:
        raise SipSyntaxError("unbalanced angle brackets")
    between = raw[begin:left]
    if between and between != b" " and (between := between.strip()):
        # Only tokens may stand unquoted; a comma would have ended the value (RFC 4475 §3.1.2.15).
        if begin or b'"' in between or b"," in between or b";" in between:
            raise SipSyntaxError("malformed display name")
        display = between
    return NameAddr(display, raw[left + 1 : right], _params(raw[right + 1 :]))


def _parse_addr_spec(raw: bytes) -> NameAddr:
    uri, _, _ = raw.partition(b";")
    tail = raw[len(uri) :]
    uri = uri.rstrip()
    # RFC 3261 §20.10: a URI with "?" or "," must stand in angle brackets.
    if b"?" in uri or b"," in uri or uri[:1] == b'"':
        raise SipSyntaxError("URI needs angle brackets")
    return NameAddr(b"", uri, _params(tail))


def _params(tail: bytes) -> dict[bytes, bytes | None]:
    # From and To have a tag and nothing else, or nothing at all.
    if tail[:5] == b";tag=":
        tag = tail[5:]
        if not tag.translate(None, TOKEN_CHARS):
            return {b"tag": tag}
    return parse_params(tail) if tail else {}


def format_name_addr(display: bytes, uri: bytes, params: dict[bytes, bytes | None] | None = None) -> bytes:
    """Render a name-addr; the display name is always quoted, and left out when empty."""
    head = quote(display) + b" <" if display else b"<"
    return head + uri + b">" + (_format_params(params) if params else b"")


def _format_params(params: dict[bytes, bytes | None]) -> bytes:
    return b"".join(b";" + name if value is None else b";" + name + b"=" + value for name, value in params.items())


def parse_via(raw: bytes) -> Via:
    """Parse one Via value."""
    protocol, separator, rest = raw.partition(b" ")
    transport = TRANSPORTS.get(protocol)
    if transport is None:
        transport, rest = _sent_protocol(raw)
    elif not separator:
        raise SipSyntaxError("Via without sent-by")
    sent_by, separator, _ = rest.partition(b";")
    host, port = parse_host_port(sent_by.strip())
    return Via(transport, host, port, parse_params(rest[len(sent_by) :]) if separator else {})


def _sent_protocol(raw: bytes) -> tuple[bytes, bytes]:
    # White space may surround the slashes: "SIP  /    2.0   / UDP  192.168.255.111" (RFC 4475 §3.1.1.1).
    name, _, rest = raw.partition(b"/")
    version, slash, rest = rest.partition(b"/")
    words = rest.split(None, 1)
    if not slash or len(words) != 2:
        raise SipSyntaxError("malformed Via")
    if name.strip().upper() != b"SIP" or version.strip() != b"2.0":
        raise SipSyntaxError("unsupported protocol in Via")
    return words[0].upper(), words[1]
