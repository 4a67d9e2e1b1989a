"""Header names: one table of wire spellings, from which parser and serializer take their look-ups."""

from typing import Final

from tas.sip.grammar import SipSyntaxError, is_token

CONTENT_LENGTH: Final = b"content-length"

WIRE_NAMES: Final = (
    b"Accept Accept-Contact Accept-Encoding Accept-Language Alert-Info Allow Allow-Events Answer-Mode "
    b"Authentication-Info Authorization Call-ID Call-Info Contact Content-Disposition Content-Encoding "
    b"Content-Language Content-Type CSeq Date Diversion Error-Info Event Expires Flow-Timer From Geolocation "
    b"Geolocation-Routing Geolocation-Error History-Info Identity Identity-Info In-Reply-To Join Max-Breadth "
    b"Max-Forwards MIME-Version Min-Expires Min-SE Organization P-Access-Network-Info P-Asserted-Identity "
    b"P-Associated-URI P-Called-Party-ID P-Charging-Vector P-Early-Media P-Preferred-Identity Path "
    b"Permission-Missing Priority Privacy Proxy-Authenticate Proxy-Authorization Proxy-Require RAck Reason "
    b"Record-Route Recv-Info Refer-Sub Refer-To Referred-By Reject-Contact Remote-Party-ID Replaces Reply-To "
    b"Request-Disposition Require Resource-Priority Retry-After Route RSeq Security-Client Security-Server "
    b"Security-Verify Server Service-Route Session-Expires Session-ID SIP-ETag SIP-If-Match Subject "
    b"Subscription-State Supported Target-Dialog Timestamp To Trigger-Consent Unsupported User-Agent User-to-User "
    b"Via Warning WWW-Authenticate"
).split()

# RFC 3261 §7.3.3 and the extensions that registered one.
COMPACT: Final[dict[bytes, bytes]] = {
    b"a": b"accept-contact",
    b"b": b"referred-by",
    b"c": b"content-type",
    b"d": b"request-disposition",
    b"e": b"content-encoding",
    b"f": b"from",
    b"i": b"call-id",
    b"j": b"reject-contact",
    b"k": b"supported",
    b"l": CONTENT_LENGTH,
    b"m": b"contact",
    b"n": b"identity-info",
    b"o": b"event",
    b"r": b"refer-to",
    b"s": b"subject",
    b"t": b"to",
    b"u": b"allow-events",
    b"v": b"via",
    b"x": b"session-expires",
    b"y": b"identity",
}


def _spellings() -> dict[bytes, bytes]:
    table = {spelling: name.lower() for name in WIRE_NAMES for spelling in (name, name.lower(), name.upper())}
    table.update({name.title(): name.lower() for name in WIRE_NAMES})
    for short, name in COMPACT.items():
        table[short] = table[short.upper()] = name
    # Content-Length is left out: it goes through `canonical_name`, where the parser looks at it without comparing
    # every other header name with it.
    return {spelling: name for spelling, name in table.items() if name != CONTENT_LENGTH}


SPELLINGS: Final[dict[bytes, bytes]] = _spellings()
"""Spelling on the wire -> canonical name."""

PREFIXES: Final[dict[bytes, bytes]] = {name.lower(): b"\r\n" + name + b": " for name in WIRE_NAMES}
"""Canonical name -> line break, wire name, colon; Content-Length is left out, as above."""


def canonical_name(raw: bytes) -> bytes:
    """The long lower-case form of any header name; raises SipSyntaxError when it is no token."""
    name = raw.rstrip()
    known = SPELLINGS.get(name)
    if known is not None:
        return known
    name = name.lower()
    if not is_token(name):
        raise SipSyntaxError("malformed header name")
    return COMPACT.get(name, name)


def wire_prefix(name: bytes) -> bytes:
    """What precedes a header's value on the wire, for any canonical name."""
    known = PREFIXES.get(name)
    if known is not None:
        return known
    return b"\r\n" + b"-".join(part.capitalize() for part in name.split(b"-")) + b": "


REASONS: Final[dict[int, bytes]] = {
    100: b"Trying",
    180: b"Ringing",
    181: b"Call Is Being Forwarded",
    182: b"Queued",
    183: b"Session Progress",
    199: b"Early Dialog Terminated",
    200: b"OK",
    202: b"Accepted",
    204: b"No Notification",
    300: b"Multiple Choices",
    301: b"Moved Permanently",
    302: b"Moved Temporarily",
    305: b"Use Proxy",
    380: b"Alternative Service",
    400: b"Bad Request",
    401: b"Unauthorized",
    402: b"Payment Required",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    406: b"Not Acceptable",
    407: b"Proxy Authentication Required",
    408: b"Request Timeout",
    410: b"Gone",
    412: b"Conditional Request Failed",
    413: b"Request Entity Too Large",
    414: b"Request-URI Too Long",
    415: b"Unsupported Media Type",
    416: b"Unsupported URI Scheme",
    417: b"Unknown Resource-Priority",
    420: b"Bad Extension",
    421: b"Extension Required",
    422: b"Session Interval Too Small",
    423: b"Interval Too Brief",
    424: b"Bad Location Information",
    428: b"Use Identity Header",
    429: b"Provide Referrer Identity",
    430: b"Flow Failed",
    433: b"Anonymity Disallowed",
    436: b"Bad Identity Info",
    437: b"Unsupported Credential",
    438: b"Invalid Identity Header",
    439: b"First Hop Lacks Outbound Support",
    440: b"Max-Breadth Exceeded",
    469: b"Bad Info Package",
    470: b"Consent Needed",
    480: b"Temporarily Unavailable",
    481: b"Call/Transaction Does Not Exist",
    482: b"Loop Detected",
    483: b"Too Many Hops",
    484: b"Address Incomplete",
    485: b"Ambiguous",
    486: b"Busy Here",
    487: b"Request Terminated",
    488: b"Not Acceptable Here",
    489: b"Bad Event",
    491: b"Request Pending",
    493: b"Undecipherable",
    494: b"Security Agreement Required",
    500: b"Server Internal Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Server Time-out",
    505: b"Version Not Supported",
    513: b"Message Too Large",
    555: b"Push Notification Service Not Supported",
    580: b"Precondition Failure",
    600: b"Busy Everywhere",
    603: b"Decline",
    604: b"Does Not Exist Anywhere",
    606: b"Not Acceptable",
    607: b"Unwanted",
    608: b"Rejected",
}
"""Default reason phrases (IANA SIP response codes)."""
