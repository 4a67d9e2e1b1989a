"""SIP, SIPS and tel URIs (RFC 3261 §19.1, RFC 3966); any other scheme is kept opaque."""

from functools import lru_cache
from typing import Final

from tas.sip.grammar import (
    ALPHANUM,
    SipSyntaxError,
    is_token,
    parse_host_port,
    unescape,
)

__all__ = ["SIP_SCHEMES", "SipSyntaxError", "Uri", "escape_user", "parse_uri"]

SIP_SCHEMES: Final = frozenset((b"sip", b"sips"))
SCHEME_CHARS: Final = ALPHANUM + b"+-."
URI_CACHE: Final = 4096
"""URIs kept parsed: the node's own numbers, trunks, proxies and phones come back in every message."""
CACHED_URI_BYTES: Final = 256
"""Longer URIs are parsed each time, so that the cache stays below a few megabytes whatever is sent."""
# Never legal inside a URI; they would end the name-addr or the line it is put into.
FORBIDDEN: Final = bytes(range(0x21)) + b'<>"\x7f'
USER_CHARS: Final = ALPHANUM + b"-_.!~*'()" + b"&=+$,;?/"
# RFC 3261 §19.1.4: these parameters differ from absence; all others are compared only when both URIs have them.
SIGNIFICANT: Final = (b"user", b"ttl", b"method", b"maddr", b"transport")


class Uri:
    """One parsed URI; treat it as immutable, since `raw()` gives the bytes it was parsed from."""

    __slots__ = ("_raw", "headers", "host", "params", "password", "port", "scheme", "user")

    def __init__(
        self,
        scheme: bytes,
        user: bytes | None,
        host: bytes,
        port: int | None = None,
        params: dict[bytes, bytes | None] | None = None,
        *,
        password: bytes | None = None,
        headers: bytes = b"",
        raw: bytes = b"",
    ) -> None:
        self.scheme = scheme
        self.user = user
        self.password = password
        self.host = host
        self.port = port
        self.params: dict[bytes, bytes | None] = {} if params is None else params
        self.headers = headers
        self._raw = raw

    def raw(self) -> bytes:
        """The URI as bytes: as received, or rendered from the fields."""
        return self._raw or self._render()

    def __bytes__(self) -> bytes:
        return self.raw()

    def __repr__(self) -> str:
        return f"Uri({self.raw()!r})"

    def address(self) -> bytes:
        """`scheme:user@host`, without port, password and parameters: what an address of record is looked up by."""
        at = b"" if self.user is None else escape_user(self.user) + b"@"
        return self.scheme + b":" + at + self.host

    def equivalent(self, other: "Uri") -> bool:
        """RFC 3261 §19.1.4 comparison."""
        if (self.scheme, self.user, self.password, self.host, self.port) != (
            other.scheme, other.user, other.password, other.host, other.port,
        ):  # fmt: skip
            return False
        if self.scheme not in SIP_SCHEMES:
            return self.raw() == other.raw()
        if self.headers != other.headers:
            return False
        shared = {name for name in self.params if name in other.params}
        shared.update(name for name in SIGNIFICANT if name in self.params or name in other.params)
        return all(_same(self.params, other.params, name) for name in shared)

    def _render(self) -> bytes:
        parts = [self.scheme, b":"]
        if self.user is not None:
            parts.append(escape_user(self.user))
            if self.password is not None:
                parts += (b":", self.password)
            if self.scheme in SIP_SCHEMES:
                parts.append(b"@")
        parts.append(self.host)
        if self.port is not None:
            parts.append(b":%d" % self.port)
        for name, value in self.params.items():
            parts += (b";", name) if value is None else (b";", name, b"=", value)
        if self.headers:
            parts += (b"?", self.headers)
        return b"".join(parts)


def _same(ours: dict[bytes, bytes | None], theirs: dict[bytes, bytes | None], name: bytes) -> bool:
    if name not in ours or name not in theirs:
        return False
    return (ours[name] or b"").lower() == (theirs[name] or b"").lower()


def escape_user(user: bytes) -> bytes:
    """Escape what may not stand in the user part as it is."""
    if not user.translate(None, USER_CHARS):
        return user
    return b"".join(bytes((octet,)) if octet in USER_CHARS else b"%%%02X" % octet for octet in user)


def parse_uri(raw: bytes) -> Uri:
    """Parse `raw`, which must be the URI alone: no brackets, no white space. Equal bytes may give the same object."""
    return _parse_short(raw) if len(raw) <= CACHED_URI_BYTES else _parse(raw)


@lru_cache(maxsize=URI_CACHE)
def _parse_short(raw: bytes) -> Uri:
    return _parse(raw)


def _parse(raw: bytes) -> Uri:
    if len(raw.translate(None, FORBIDDEN)) != len(raw):
        raise SipSyntaxError("malformed URI")
    scheme, separator, rest = raw.partition(b":")
    if not separator or not rest or not scheme[:1].isalpha() or scheme.translate(None, SCHEME_CHARS):
        raise SipSyntaxError("malformed URI")
    scheme = scheme.lower()
    if scheme == b"tel":
        number, _, tail = rest.partition(b";")
        return Uri(scheme, unescape(number), b"", None, _uri_params(tail), raw=raw)
    if scheme not in SIP_SCHEMES:
        return Uri(scheme, None, b"", raw=raw)
    return _parse_sip(scheme, rest, raw)


def _parse_sip(scheme: bytes, rest: bytes, raw: bytes) -> Uri:
    user: bytes | None = None
    password: bytes | None = None
    # The user part may hold ";" and "?" (RFC 4475 §3.1.1.9), so "@" is looked for first.
    userinfo, at, after = rest.partition(b"@")
    if at:
        rest = after
        user, separator, word = userinfo.partition(b":")
        if not user:
            raise SipSyntaxError("empty user in URI")
        user = unescape(user)
        password = word if separator else None
    headers = b""
    if b"?" in rest:
        rest, _, headers = rest.partition(b"?")
    host_port, _, tail = rest.partition(b";")
    host, port = parse_host_port(host_port)
    params = _uri_params(tail)
    return Uri(scheme, user, host, port, params, password=password, headers=headers, raw=raw)


def _uri_params(tail: bytes) -> dict[bytes, bytes | None]:
    params: dict[bytes, bytes | None] = {}
    if not tail:
        return params
    for part in tail.split(b";"):
        name, separator, value = part.partition(b"=")
        name = unescape(name).lower()
        # param-unreserved (RFC 3261 §25.1) is wider than token.
        if not is_token(name.translate(None, b"[]/:&$()")):
            raise SipSyntaxError("malformed URI parameter")
        params[name] = value if separator else None
    return params
