"""The parts of SIP's grammar (RFC 3261 §25.1) that headers, URIs and messages share."""

from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

ALPHANUM: Final = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
TOKEN_CHARS: Final = ALPHANUM + b"-.!%*_+`'~"
# "_" is outside the grammar, but container and lab host names have it.
HOST_CHARS: Final = ALPHANUM + b"-._"
IPV6_CHARS: Final = b"0123456789abcdefABCDEF:."

MAX_HOST_BYTES: Final = 255
"""A DNS name has at most 253 characters; also bounds what the cache below holds."""
HOST_CACHE: Final = 1024
"""Entries of `host:port` kept parsed: a node's peers, phones behind them included, come back in every message."""

MAX_NUMBER_DIGITS: Final = 20
"""Digits read of any number: beyond every SIP limit, and far below the length where int() gets slow."""

QUOTE: Final = 0x22
BACKSLASH: Final = 0x5C
LESS: Final = 0x3C
GREATER: Final = 0x3E

# The parameters seen in most messages, so that a known one costs one look-up.
PARAMETERS: Final[dict[bytes, bytes]] = {
    name: name
    for name in (
        b"branch tag rport received lr transport expires q ob user maddr ttl alias keep reg-id +sip.instance method "
        b"rinstance phone-context line isfocus"
    ).split()
}


class SipSyntaxError(ValueError):
    """A header, URI or start line that does not follow the grammar; str() is fit for a reason phrase."""


def is_token(value: bytes) -> bool:
    """True when `value` is a token: the form of methods, header names and parameter names."""
    return bool(value) and not value.translate(None, TOKEN_CHARS)


def parse_number(raw: bytes, what: str, limit: int) -> int:
    """The decimal number `raw`, 0..limit; leading zeros are allowed."""
    if not raw.isdigit() or len(raw) > MAX_NUMBER_DIGITS:
        raise SipSyntaxError(f"{what} is not a number")
    number = int(raw)
    if number > limit:
        raise SipSyntaxError(f"{what} out of range")
    return number


@lru_cache(maxsize=HOST_CACHE)
def parse_host_port(raw: bytes) -> tuple[bytes, int | None]:
    """Split `host[:port]`; the host comes back in lower case, an IPv6 address with its brackets."""
    if raw[:1] == b"[":
        close = raw.find(b"]")
        host, rest = raw[: close + 1], raw[close + 1 :]
        if not 3 <= close <= MAX_HOST_BYTES or raw[1:close].translate(None, IPV6_CHARS) or (rest and rest[:1] != b":"):
            raise SipSyntaxError("malformed IPv6 address")
        separator, port = rest[:1], rest[1:]
    else:
        host, separator, port = raw.partition(b":")
        if separator:
            # RFC 3261 §25.1 allows white space around the colon of sent-by.
            host, port = host.rstrip(), port.lstrip()
        if not host or len(host) > MAX_HOST_BYTES or host.translate(None, HOST_CHARS):
            raise SipSyntaxError("malformed host")
    if not separator:
        return host.lower(), None
    if not port.isdigit() or len(port) > 5 or not 0 < int(port) < 65536:
        raise SipSyntaxError("malformed port")
    return host.lower(), int(port)


def unescape(raw: bytes) -> bytes:
    """Resolve %HH; a "%" that is no escape stays as it is."""
    return unquote_to_bytes(raw) if b"%" in raw else raw


def end_of_quoted(raw: bytes, start: int) -> int:
    """Index after the quote that closes the quoted string opening at `start`."""
    position = raw.find(b'"', start + 1)
    while position >= 0:
        before = position - 1
        if raw[before] != BACKSLASH:
            return position + 1
        while raw[before] == BACKSLASH:
            before -= 1
        if (position - before) % 2:  # an even number of backslashes escapes only each other
            return position + 1
        position = raw.find(b'"', position + 1)
    raise SipSyntaxError("unbalanced quotes")


def unquote(value: bytes) -> bytes:
    """The text of a quoted string, escapes resolved; anything else comes back unchanged."""
    if len(value) < 2 or value[0] != QUOTE or value[-1] != QUOTE:
        return value
    inner = value[1:-1]
    if b"\\" not in inner:
        return inner
    out = bytearray()
    escaped = False
    for octet in inner:
        if octet == BACKSLASH and not escaped:
            escaped = True
            continue
        out.append(octet)
        escaped = False
    return bytes(out)


def quote(text: bytes) -> bytes:
    """`text` as a quoted string; control characters, line breaks among them, become spaces."""
    clean = bytes(octet if octet >= 0x20 and octet != 0x7F else 0x20 for octet in text)
    return b'"' + clean.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def split_outside(raw: bytes, separator: bytes) -> list[bytes]:
    """Split at `separator` outside quoted strings and angle brackets; parts are stripped and may be empty."""
    if b'"' not in raw and b"<" not in raw:
        return [part.strip() for part in raw.split(separator)]
    wanted = separator[0]
    parts: list[bytes] = []
    begin = position = 0
    length = len(raw)
    while position < length:
        octet = raw[position]
        if octet == QUOTE:
            position = end_of_quoted(raw, position)
            continue
        if octet == LESS:
            close = raw.find(b">", position)
            if close < 0:
                raise SipSyntaxError("unbalanced angle brackets")
            position = close
        elif octet == wanted:
            parts.append(raw[begin:position].strip())
            begin = position + 1
        position += 1
    parts.append(raw[begin:].strip())
    return parts


def parse_params(raw: bytes) -> dict[bytes, bytes | None]:
    """Parse `;name[=value]...`: names in lower case, values as they came (quotes kept), None without "="."""
    params: dict[bytes, bytes | None] = {}
    parts = split_outside(raw, b";") if b'"' in raw else raw.split(b";")
    if parts.pop(0).strip():
        raise SipSyntaxError("text before parameters")
    for part in parts:
        spelling, equals, value = part.partition(b"=")
        name = PARAMETERS.get(spelling)
        if name is None:
            name = spelling.strip().lower()
            if not is_token(name):
                raise SipSyntaxError("malformed parameter")
        params[name] = value.strip() if equals else None
    return params
