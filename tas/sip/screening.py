"""What a user agent server checks before it looks at a request's meaning (RFC 3261 §8.2.1 to §8.2.3)."""

from typing import Final

from tas.sip.core import LayerSettings
from tas.sip.message import Header, Request

Refusal = tuple[int, list[Header]]

KNOWN_METHODS: Final = frozenset(
    b"INVITE ACK CANCEL BYE OPTIONS INFO UPDATE REGISTER PRACK SUBSCRIBE NOTIFY REFER MESSAGE PUBLISH".split()
)
"""Methods with an RFC: those we do not allow are 405, any other is 501 (§21.5.2)."""
SDP: Final = b"application/sdp"
ACCEPTS_SDP: Final = frozenset((SDP, b"application/*", b"*/*"))
OFFERING: Final = frozenset((b"INVITE", b"UPDATE"))


class Screen:
    """The checks of one node, its capabilities looked up once."""

    __slots__ = ("_allow", "_allowed", "_supported")

    def __init__(self, settings: LayerSettings) -> None:
        self._allow = settings.allow
        self._allowed = frozenset(method.strip() for method in settings.allow.split(b","))
        self._supported = frozenset(settings.supported)

    def method(self, request: Request) -> Refusal | None:
        """405 with Allow for a method we know but do not serve, 501 for any other (§8.2.1)."""
        method = request.method
        if method in self._allowed:
            return None
        return (405 if method in KNOWN_METHODS else 501), [(b"allow", self._allow)]

    def content(self, request: Request) -> Refusal | None:
        """420 for an extension we lack, 415 and 406 for bodies other than SDP (§8.2.2.3, §8.2.3)."""
        for name, _ in request.headers:
            if name == b"require":
                unsupported = [tag for tag in request.values(b"require") if tag.lower() not in self._supported]
                if unsupported:
                    return 420, [(b"unsupported", b", ".join(unsupported))]
            elif name == b"content-encoding":
                if (request.get(name) or b"").lower() != b"identity":
                    return 415, [(b"accept-encoding", b"identity")]
            elif name == b"accept" and request.method in OFFERING and not _accepts_sdp(request):
                return 406, [(b"accept", SDP)]
        if request.body and request.method in OFFERING and request.content_type != SDP:
            return 415, [(b"accept", SDP)]
        return None

    def target(self, request: Request, secure: bool) -> Refusal | None:
        """416 for a Request-URI other than sip:, and sips: over TLS (§8.2.2.1, §26.2.2)."""
        scheme = request.parsed_uri().scheme
        return None if scheme == b"sip" or (secure and scheme == b"sips") else (416, [])


def _accepts_sdp(request: Request) -> bool:
    return any(value.partition(b";")[0].strip().lower() in ACCEPTS_SDP for value in request.values(b"accept"))
