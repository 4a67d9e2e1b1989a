"""Bytes to messages.

Two steps: `parse_message` finds the lines and the body and fails only where no message can be made of the bytes;
`validate` then looks at the meaning of the headers a server cannot do without. A message that `validate` accepted
never raises from its parsed properties.
"""

from typing import Final

from tas.sip.grammar import SipSyntaxError, is_token, parse_number
from tas.sip.headers import parse_name_addr, parse_via, split_commas
from tas.sip.message import Header, Message, Request, Response
from tas.sip.names import CONTENT_LENGTH, SPELLINGS, canonical_name
from tas.sip.uri import SIP_SCHEMES

__all__ = [
    "MAX_BODY_BYTES",
    "MAX_HEADERS",
    "MAX_HEADER_BYTES",
    "SipParseError",
    "SipSyntaxError",
    "parse_head",
    "parse_message",
    "validate",
]

MAX_HEADER_BYTES: Final = 65_536
"""Start line and headers: a UDP datagram can hold no more, and no peer needs more on a stream."""
MAX_HEADERS: Final = 512
"""Header lines: about ten times what a long route set brings; bounds the work of every look-up."""
MAX_BODY_BYTES: Final = 262_144
"""Body: SDP with video and ICE stays below 16 kB; multipart with pictures (PIDF, ISUP) below 200 kB."""

MAX_LENGTH: Final = 2**32
"""Content-Length that is still read as a number; the limits above are applied to it afterwards."""

VERSION: Final = b"SIP/2.0"
METHODS: Final = frozenset(
    b"INVITE ACK BYE CANCEL OPTIONS REGISTER PRACK UPDATE INFO REFER NOTIFY SUBSCRIBE MESSAGE PUBLISH".split()
)
LENGTH_SPELLINGS: Final = frozenset((b"Content-Length", b"content-length", b"CONTENT-LENGTH", b"l", b"L"))
SINGLE: Final = (b"to", b"from", b"call-id", b"cseq", b"max-forwards")
REQUIRED: Final = ((b"via", "Via"), (b"to", "To"), (b"from", "From"), (b"call-id", "Call-ID"), (b"cseq", "CSeq"))
LISTS: Final = {b"via": "Via: ", b"route": "Route: ", b"record-route": "Record-Route: ", b"contact": "Contact: "}
KNOWN_SCHEMES: Final = SIP_SCHEMES | {b"tel"}


class SipParseError(Exception):
    """Bytes that are no message.

    `partial` is the request as far as it was read, fit for `serializer.make_response` (its headers may be malformed:
    use the raw values only), or None when nothing may be answered.
    """

    def __init__(self, status: int, reason: str, partial: Request | None = None) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.partial = partial


def parse_message(data: bytes) -> Request | Response:
    """Parse one datagram; raises SipParseError and nothing else."""
    if data[:1] in (b"\r", b"\n"):
        data = data.lstrip(b"\r\n")
    end = data.find(b"\r\n\r\n")
    if end < 0:
        # The last header ends the datagram: some stacks leave the empty line out when there is no body.
        end = len(data) - 2 if data.endswith(b"\r\n") else len(data)
    message, length = parse_head(data[:end])
    body = data[end + 4 :]
    if length is not None and length != len(body):
        if length > len(body):  # RFC 3261 §18.3: the datagram was cut off
            raise rejection(message, 400, "Content-Length exceeds the datagram")
        body = body[:length]
    message.body = body
    message.wire = data
    return message


def parse_head(head: bytes) -> tuple[Request | Response, int | None]:
    """Parse start line and headers, given without the empty line that ends them; also returns Content-Length."""
    if len(head) > MAX_HEADER_BYTES:
        raise SipParseError(513, "Message header too large")
    lines = head.splitlines() or [b""]
    words = lines[0].split(b" ", 2)
    message: Request | Response
    verdict: tuple[int, str] | None = None
    if len(words) == 3 and words[2] == VERSION and words[1] and (words[0] in METHODS or is_token(words[0])):
        message = Request(words[0], words[1], [])
    elif words[0][:4].upper() == b"SIP/":
        message = _status_line(words)
    else:
        message, verdict = _odd_request_line(words)
    try:
        length = _headers(lines, message.headers)
        # A bare CR or LF is a line end to some stacks and part of the value to others, who then see other headers.
        if len(head) != len(b"".join(lines)) + 2 * len(lines) - 2:
            raise SipSyntaxError("bare CR or LF")
    except SipSyntaxError as error:
        raise rejection(message, 400, _capital(error)) from None
    if verdict is not None:
        raise rejection(message, verdict[0], verdict[1])
    return message, length


def _status_line(words: list[bytes]) -> Response:
    if words[0].upper() != VERSION or len(words) < 2:
        raise SipParseError(505, "Version not supported")
    code = words[1]
    if len(code) != 3 or not code.isdigit() or not b"100" <= code <= b"699":
        raise SipParseError(400, "Malformed status line")
    return Response(int(code), words[2] if len(words) == 3 else b"", [])


def _odd_request_line(words: list[bytes]) -> tuple[Request, tuple[int, str] | None]:
    # With its headers read, even a malformed request can be answered.
    request = Request(words[0], b" ".join(words[1:2]), [])
    version = words[2].upper() if len(words) == 3 else b""
    if not request.uri or not is_token(request.method) or version[:4] != b"SIP/" or b" " in version:
        return request, (400, "Malformed request line")
    # "sip/2.0" is right too: the version compares without case (RFC 3261 §7.1).
    return request, None if version == VERSION else (505, "Version not supported")


def _headers(lines: list[bytes], headers: list[Header]) -> int | None:
    """Fill `headers` from all lines but the first; returns Content-Length."""
    if len(lines) > MAX_HEADERS:
        raise SipSyntaxError("too many headers")
    length: int | None = None
    append = headers.append
    known = SPELLINGS.get
    for line in lines[1:]:
        spelling, colon, value = line.partition(b":")
        name = known(spelling)
        if name is None:
            if spelling in LENGTH_SPELLINGS:
                length = _content_length(value.strip(), length)
                name = CONTENT_LENGTH
            elif line[:1] in (b" ", b"\t"):
                _unfold(headers, line)
                continue
            elif not colon:
                raise SipSyntaxError("header without colon")
            else:
                name = canonical_name(spelling)
                if name == CONTENT_LENGTH:
                    length = _content_length(value.strip(), length)
        append((name, value.strip()))
    return length


def _content_length(value: bytes, before: int | None) -> int:
    length = parse_number(value, "Content-Length", MAX_LENGTH)
    if before is not None and before != length:  # RFC 4475 §3.3.9
        raise SipSyntaxError("conflicting Content-Length")
    return length


def _unfold(headers: list[Header], line: bytes) -> None:
    # RFC 3261 §7.3.1: a line break and the white space after it are one space.
    if not headers:
        raise SipSyntaxError("malformed start line")
    name, value = headers[-1]
    headers[-1] = (name, (value + b" " + line.strip()).strip())


def rejection(message: Message, status: int, reason: str) -> SipParseError:
    """The error for `message`, which can be answered only if it is a request other than ACK with a Via."""
    if isinstance(message, Request) and message.method != b"ACK" and message.get(b"via") is not None:
        return SipParseError(status, reason, message)
    return SipParseError(status, reason)


def _capital(error: SipSyntaxError) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]


def validate(message: Request | Response) -> tuple[int, str] | None:
    """None when the headers every server needs are present and well-formed, else the answer to a request.

    A response with a verdict is dropped. Looked at: Via, To, From, Call-ID, CSeq and its method, Max-Forwards,
    Contact, Route, Record-Route and the Request-URI.
    """
    try:
        _single_headers(message)
        _common(message)
        if isinstance(message, Request):
            return _request(message)
    except SipSyntaxError as error:
        return 400, _capital(error)
    return None


def _single_headers(message: Message) -> None:
    names = [name for name, _ in message.headers]
    for name, wire in REQUIRED:
        if name not in names:
            raise SipSyntaxError(f"missing {wire}")
    if len(set(names)) != len(names):
        for name in SINGLE:
            if names.count(name) > 1:  # RFC 4475 §3.3.8
                raise SipSyntaxError(f"more than one {name.decode()}")


def _common(message: Message) -> None:
    label = ""
    try:
        _ = message.call_id, message.cseq, message.max_forwards
        label = "Via: "
        _ = message.via
        label = "From: "
        _ = message.from_.parsed_uri()
        label = "To: "
        _ = message.to.parsed_uri()
        label = "Contact: "
        contact = message.contact
        if contact is not None and contact.uri != b"*":
            contact.parsed_uri()
        done = [b"via", b"contact"]  # their first values, above
        for name, value in message.headers:
            if name in LISTS:
                if name in done:
                    done.remove(name)
                    if b"," not in value:
                        continue
                label = LISTS[name]
                _list(name, value)
    except SipSyntaxError as error:
        raise SipSyntaxError(f"{label}{error}") from None


def _list(name: bytes, value: bytes) -> None:
    for raw in split_commas(value):
        if name == b"via":
            parse_via(raw)
        elif raw and raw != b"*":
            parse_name_addr(raw).parsed_uri()


def _request(request: Request) -> tuple[int, str] | None:
    if request.cseq_method != request.method:
        return 400, "CSeq method does not match"
    uri = request.parsed_uri()
    if uri.scheme not in KNOWN_SCHEMES:
        return 416, "Unsupported URI Scheme"
    if uri.headers:  # RFC 3261 §19.1.1: not allowed in a Request-URI
        return 400, "Headers in Request-URI"
    return None
