"""What two ends agree on about a session timer (RFC 4028 §7, §9): pure negotiation, no clock."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from tas.sip.grammar import SipSyntaxError, parse_number, parse_params
from tas.sip.message import Message, Request, Response

Refresher = Literal["any", "us", "peer"]

LEAST_MIN_SE_S: Final = 90  # RFC 4028 §5: no Min-SE is smaller, and this one counts when there is none
LEAST_INTERVAL_S: Final = 4
"""An answer below 90 s breaks §9; followed down to this one, so that nobody makes us send refreshes in a loop."""
MAX_RAISES: Final = 3
"""422s in a row that we follow: each names a larger Min-SE, one is enough for an honest peer."""
MAX_INTERVAL_S: Final = 2**31 - 1
TIMER: Final = b"timer"


class SessionPolicy(NamedTuple):
    """What we want of a peer."""

    expires_s: int = 0
    """The interval we ask for; 0: none, but the peer's wish is accepted."""
    min_se_s: int = LEAST_MIN_SE_S
    """Shorter intervals are refused with 422."""
    refresher: Refresher = "any"


ACCEPT_ONLY: Final = SessionPolicy()


class Terms(NamedTuple):
    """A timer in force; `ours` says who refreshes."""

    interval_s: int
    ours: bool


class IntervalTooSmall(Exception):
    """The peer's interval is below ours: 422 with our Min-SE."""


def lists(message: Message, name: bytes, wanted: bytes) -> bool:
    """Whether a comma list header (Supported, Require, Allow) has `wanted`, case ignored."""
    return any(value.lower() == wanted for value in message.values(name))


def min_se_of(message: Message) -> int:
    """The message's Min-SE, 90 when it has none or an unreadable one."""
    raw = message.get(b"min-se")
    if raw is None:
        return LEAST_MIN_SE_S
    try:
        return max(LEAST_MIN_SE_S, parse_number(raw.partition(b";")[0].strip(), "Min-SE", MAX_INTERVAL_S))
    except SipSyntaxError:
        return LEAST_MIN_SE_S


def interval_of(message: Message) -> tuple[int, bytes] | None:
    """Session-Expires: seconds, and "uac", "uas" or nothing; raises SipSyntaxError."""
    raw = message.get(b"session-expires")
    if raw is None:
        return None
    seconds, _, rest = raw.partition(b";")
    params = parse_params(b";" + rest) if rest else {}
    return parse_number(seconds.strip(), "Session-Expires", MAX_INTERVAL_S), (params.get(b"refresher") or b"").lower()


def answer_terms(request: Request, policy: SessionPolicy, current: Terms | None) -> Terms | None:
    """Our answer to the peer's INVITE or UPDATE (§9, table 2); None: no timer. Raises IntervalTooSmall, SipSyntaxError.

    A request without the header goes on as it was agreed before: it may be a plain hold.
    """
    asked = interval_of(request)
    supported = lists(request, b"supported", TIMER) or lists(request, b"require", TIMER)
    floor = max(min_se_of(request), policy.min_se_s)
    if asked is None:
        wish = current.interval_s if current is not None else policy.expires_s
        if not wish:
            return None
        interval, role = max(wish, floor), b""
    else:
        interval, role = asked
        if interval < policy.min_se_s and supported:  # a proxy's wish for a caller without the extension stays
            raise IntervalTooSmall
        if policy.expires_s:
            interval = min(interval, max(policy.expires_s, floor))
    return Terms(max(interval, LEAST_INTERVAL_S), _ours_as_server(role, supported, policy, current, asked is None))


def _ours_as_server(role: bytes, supported: bool, policy: SessionPolicy, current: Terms | None, alone: bool) -> bool:
    if not supported:
        return True
    if role in (b"uac", b"uas"):
        return role == b"uas"
    if current is not None:
        return current.ours
    return policy.refresher == "us" or (policy.refresher == "any" and alone)


def render_answer(terms: Terms) -> bytes:
    """Header lines of our 2xx; who must refresh has to know the extension (§9)."""
    line = b"\r\nSession-Expires: %d;refresher=%b" % (terms.interval_s, b"uas" if terms.ours else b"uac")
    return line if terms.ours else line + b"\r\nRequire: timer"


def answered_terms(response: Response, asked_s: int) -> Terms | None:
    """What the 2xx to our request settles (§7.2); a peer without the extension leaves the refreshing to us."""
    try:
        answer = interval_of(response)
    except SipSyntaxError:
        answer = None
    if answer is not None:
        return Terms(max(answer[0], LEAST_INTERVAL_S), answer[1] != b"uas")
    return Terms(asked_s, True) if asked_s else None


def render_wish(policy: SessionPolicy) -> bytes:
    """Header lines of our first INVITE."""
    role = {"any": b"", "us": b";refresher=uac", "peer": b";refresher=uas"}[policy.refresher]
    return b"\r\nSession-Expires: %d%b%b" % (policy.expires_s, role, render_min_se(policy.min_se_s))


def render_refresh(terms: Terms, min_se_s: int) -> bytes:
    """Header lines of our requests inside the dialog: the roles stay (§7.4)."""
    role = b"uac" if terms.ours else b"uas"
    return b"\r\nSession-Expires: %d;refresher=%b%b" % (terms.interval_s, role, render_min_se(min_se_s))


def render_min_se(min_se_s: int) -> bytes:
    """A Min-SE line where it says more than its absence."""
    return b"\r\nMin-SE: %d" % min_se_s if min_se_s > LEAST_MIN_SE_S else b""
