"""Digest authentication (RFC 7616, RFC 8760 for SIP): the server's challenge and check, the client's answer.

The nonce is stateless: issue time and serial number, sealed with an HMAC. What is kept is one small entry per nonce in
use, so that a nonce count cannot be used twice. Clocks of other nodes are never trusted: a nonce from elsewhere, or
from before a restart, is stale, and the client tries again without asking its user.
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final

from tas.sip.grammar import SipSyntaxError, quote, split_outside, unquote
from tas.sip.headers import MAGIC_COOKIE
from tas.sip.message import Header, Message, Request

__all__ = [
    "MAX_NONCES",
    "Credentials",
    "DigestServer",
    "Outcome",
    "Verdict",
    "answer_challenge",
    "make_credentials",
]

MAX_NONCES: Final = 65_536
"""Nonces in use at once: 6,000 phones that register every 60 s with a fresh nonce keep 30,000 alive for 300 s."""
REPLAY_WINDOW: Final = 64
"""Nonce counts behind the highest one that may still arrive, once each: UDP reorders requests."""
MAX_NONCE_COUNT: Final = 2**32 - 1
SEAL_DIGITS: Final = 32  # 128 bits of the HMAC
NONCE_DIGITS: Final = 8 + 8 + SEAL_DIGITS  # seconds, serial, seal

SHA256: Final = b"SHA-256"
MD5: Final = b"MD5"
STRONGEST_FIRST: Final = (SHA256, MD5)  # RFC 8760 §2.4: in order of preference, one header each

# Peers that cannot take two challenges as RFC 8760 means them (tried: baresip 1.0.0 with libre 1.1.0, SIPp 3.6.1).
# Nothing is lost by it, since MD5 answers are accepted from everybody.
MD5_ONLY_AGENTS: Final = (b"baresip v0.", b"baresip v1.")  # give up at any challenge but MD5, in whatever order
# Followed by three numbers. SIPp reads only the first challenge, and has no User-Agent to be known by.
SIPP_BRANCH: Final = MAGIC_COOKIE + b"-"


class Credentials:
    """What is stored of a user: H(username:realm:password) in hexadecimal, for both algorithms or one of them."""

    __slots__ = ("ha1_md5", "ha1_sha256")

    def __init__(self, ha1_sha256: bytes, ha1_md5: bytes) -> None:
        self.ha1_sha256 = ha1_sha256
        self.ha1_md5 = ha1_md5

    def of(self, algorithm: bytes) -> bytes:
        """The hash for an algorithm, empty when it is not stored."""
        return self.ha1_sha256 if algorithm == SHA256 else self.ha1_md5


# Checked against when the user is unknown, so that the work done does not tell; no password hashes to it.
NOBODY: Final = Credentials(b"0" * 64, b"0" * 32)


class Outcome(Enum):
    """What to do with a request."""

    OK = "ok"
    CHALLENGE = "challenge"  # no usable credentials: 401 with challenges(now)
    STALE = "stale"  # right password, used-up nonce: 401 with challenges(now, stale=True)
    WRONG = "wrong"  # unknown user or wrong password, which nobody outside may tell apart


class Verdict:
    """An outcome, and the user name the request claims (proven only with OK and STALE)."""

    __slots__ = ("outcome", "username")

    def __init__(self, outcome: Outcome, username: bytes = b"") -> None:
        self.outcome = outcome
        self.username = username

    def __repr__(self) -> str:
        return f"Verdict({self.outcome}, {self.username!r})"


def _hash(algorithm: bytes, data: bytes) -> bytes:
    if algorithm == SHA256:
        return hashlib.sha256(data).hexdigest().encode()
    return hashlib.md5(data, usedforsecurity=False).hexdigest().encode()


def make_credentials(username: bytes, realm: bytes, password: bytes) -> Credentials:
    """Hash a password for storing."""
    secret = b"%b:%b:%b" % (username, realm, password)
    return Credentials(_hash(SHA256, secret), _hash(MD5, secret))


class DigestServer:
    """Challenges and checks requests for one realm; `secret` seals the nonces and should be random per process."""

    def __init__(
        self,
        realm: bytes,
        secret: bytes,
        nonce_lifetime_s: float = 300,
        *,
        algorithms: Sequence[bytes] = STRONGEST_FIRST,
        max_nonces: int = MAX_NONCES,
    ) -> None:
        self.realm = realm
        self.algorithms = tuple(algorithms)
        self._secret = secret
        self._lifetime = nonce_lifetime_s
        self._serial = 0
        self._max_nonces = max_nonces
        self._counts: dict[int, _Counts] = {}  # by nonce serial, oldest use first
        self._refused = 0  # nonces up to this serial lost their entry and are stale

    def __len__(self) -> int:
        """Nonces in use."""
        return len(self._counts)

    def challenges(
        self, now: float, *, request: Request | None = None, stale: bool = False, proxy: bool = False
    ) -> list[Header]:
        """The challenge headers of a 401 (or 407 with `proxy`), one for each algorithm, the strongest first.

        With the `request` they answer, the order and choice suit peers known to stumble over SHA-256.
        """
        name = b"proxy-authenticate" if proxy else b"www-authenticate"
        realm, nonce = quote(self.realm), self._issue(now)
        tail = b", stale=true" if stale else b""
        algorithms = self.algorithms if request is None else _suited(self.algorithms, request)
        return [
            (name, b'Digest realm=%b, nonce="%b", algorithm=%b, qop="auth"%b' % (realm, nonce, algorithm, tail))
            for algorithm in algorithms
        ]

    def verify(
        self,
        request: Request,
        lookup: Callable[[bytes], Credentials | None],
        now: float,
        *,
        proxy: bool = False,
    ) -> Verdict:
        """Check a request's credentials; a nonce count is used up by an OK."""
        answer = self._find_answer(request, b"proxy-authorization" if proxy else b"authorization")
        if answer is None:
            return Verdict(Outcome.CHALLENGE)
        username = answer.username
        known = lookup(username)
        ha1 = b"" if known is None else known.of(answer.algorithm)
        proven = bool(ha1)  # a user without a hash for this algorithm is nobody: the empty one is known to all
        if not proven:
            ha1 = NOBODY.of(answer.algorithm)
        # The uri parameter is not compared with the Request-URI: proxies and SIPp differ there, and the response
        # covers it either way.
        right = hmac.compare_digest(answer.expected(ha1, request.method), answer.response)
        if not right or not proven:
            return Verdict(Outcome.WRONG, username)
        serial = self._serial_of(answer.nonce, now)
        if serial is None or not self._use(serial, answer.count, now):
            return Verdict(Outcome.STALE, username)
        return Verdict(Outcome.OK, username)

    def _find_answer(self, request: Message, header: bytes) -> "_Answer | None":
        for raw in request.get_all(header):
            answer = _parse_answer(raw, self.realm)
            if answer is not None and answer.algorithm in self.algorithms:
                return answer
        return None

    def _issue(self, now: float) -> bytes:
        self._serial += 1
        stamp = b"%08x%08x" % (int(now) & 0xFFFFFFFF, self._serial & 0xFFFFFFFF)
        return stamp + self._seal(stamp)

    def _seal(self, stamp: bytes) -> bytes:
        return hmac.digest(self._secret, stamp, "sha256").hex().encode()[:SEAL_DIGITS]

    def _serial_of(self, nonce: bytes, now: float) -> int | None:
        """The serial of a nonce of ours that is still valid."""
        if len(nonce) != NONCE_DIGITS or not hmac.compare_digest(self._seal(nonce[:16]), nonce[16:]):
            return None
        age = (int(now) - int(nonce[:8], 16)) & 0xFFFFFFFF
        return int(nonce[8:16], 16) if age <= self._lifetime else None

    def _use(self, serial: int, count: int, now: float) -> bool:
        if serial <= self._refused:
            return False
        counts = self._counts.get(serial)
        if counts is None:
            self._make_room(now)
            counts = self._counts[serial] = _Counts(now + self._lifetime + 1)
        return counts.use(count)

    def _make_room(self, now: float) -> None:
        while self._counts:
            serial, counts = next(iter(self._counts.items()))
            if counts.expires > now and len(self._counts) < self._max_nonces:
                return
            if counts.expires > now:
                # Forgotten while still valid: it and all before it must not come back, or they could be replayed.
                self._refused = max(self._refused, serial)
            del self._counts[serial]


def _suited(algorithms: tuple[bytes, ...], request: Request) -> tuple[bytes, ...]:
    if MD5 not in algorithms:
        return algorithms
    if (request.get(b"user-agent") or b"").startswith(MD5_ONLY_AGENTS):
        return (MD5,)
    branch = request.via.branch or b""
    if branch.startswith(SIPP_BRANCH):
        numbers = branch[len(SIPP_BRANCH) :].split(b"-")
        if len(numbers) == 3 and all(number.isdigit() for number in numbers):
            return (MD5, *(algorithm for algorithm in algorithms if algorithm != MD5))
    return algorithms


class _Counts:
    """The nonce counts seen with one nonce: the highest, and a bit for each of the REPLAY_WINDOW below it."""

    __slots__ = ("expires", "highest", "seen")

    def __init__(self, expires: float) -> None:
        self.expires = expires
        self.highest = 0
        self.seen = 0

    def use(self, count: int) -> bool:
        """True the first time `count` is used."""
        if count > self.highest:
            shift = count - self.highest
            self.seen = ((self.seen << shift) | 1) & (2**REPLAY_WINDOW - 1) if shift < REPLAY_WINDOW else 1
            self.highest = count
            return True
        behind = self.highest - count
        if behind >= REPLAY_WINDOW or self.seen >> behind & 1:
            return False
        self.seen |= 1 << behind
        return True


class _Answer:
    """The fields of an Authorization header that the check needs."""

    __slots__ = ("algorithm", "cnonce", "count", "nc", "nonce", "response", "uri", "username")

    def __init__(self, username: bytes, nonce: bytes, uri: bytes, response: bytes) -> None:
        self.username = username
        self.nonce = nonce
        self.uri = uri
        self.response = response
        self.algorithm: bytes = MD5
        self.nc = b""
        self.count = 0
        self.cnonce = b""

    def expected(self, ha1: bytes, method: bytes) -> bytes:
        """RFC 7616 §3.4.1, qop=auth."""
        ha2 = _hash(self.algorithm, method + b":" + self.uri)
        fields = b"%b:%b:%b:%b:auth:%b" % (ha1, self.nonce, self.nc, self.cnonce, ha2)
        return _hash(self.algorithm, fields)


def _parse_answer(raw: bytes, realm: bytes) -> _Answer | None:
    """The answer to a challenge of ours, or None: another scheme, realm, algorithm or qop, or malformed."""
    fields = _parse_fields(raw)
    if fields is None or fields.get(b"realm") != realm or fields.get(b"qop", b"").lower() != b"auth":
        return None
    username, nonce, uri = fields.get(b"username"), fields.get(b"nonce"), fields.get(b"uri")
    response, nc = fields.get(b"response", b"").lower(), fields.get(b"nc", b"")
    if not username or not nonce or uri is None or not response or not nc.isalnum() or len(nc) > 8:
        return None
    answer = _Answer(username, nonce, uri, response)
    answer.algorithm = fields.get(b"algorithm", MD5).upper()
    answer.nc = nc
    answer.cnonce = fields.get(b"cnonce", b"")
    try:
        answer.count = int(nc, 16)
    except ValueError:
        return None
    return answer if answer.count > 0 else None


def _parse_fields(raw: bytes) -> dict[bytes, bytes] | None:
    """The parameters of a Digest header: names in lower case, values unquoted; None when it is no Digest header."""
    scheme, _, rest = raw.strip().partition(b" ")
    if scheme.lower() != b"digest":
        return None
    fields: dict[bytes, bytes] = {}
    try:
        for part in split_outside(rest, b","):
            name, _, value = part.partition(b"=")
            fields[name.strip().lower()] = unquote(value.strip())
    except SipSyntaxError:
        return None
    return fields


def answer_challenge(
    challenges: Sequence[bytes],
    *,
    method: bytes,
    uri: bytes,
    username: bytes,
    password: bytes,
    cnonce: bytes,
    nc: int = 1,
) -> bytes | None:
    """The (Proxy-)Authorization value that answers the best challenge of a 401 or 407; None when none is supported."""
    best: dict[bytes, bytes] | None = None
    algorithm = MD5
    for raw in challenges:
        fields = _parse_fields(raw)
        if fields is None or not fields.get(b"nonce"):
            continue
        offered = fields.get(b"algorithm", MD5).upper()
        if offered in STRONGEST_FIRST and (best is None or (offered == SHA256 and algorithm == MD5)):
            best, algorithm = fields, offered
    if best is None:
        return None
    return _render_answer(best, algorithm, (method, uri, username, password), cnonce, nc)


def _render_answer(
    fields: dict[bytes, bytes], algorithm: bytes, who: tuple[bytes, bytes, bytes, bytes], cnonce: bytes, nc: int
) -> bytes | None:
    method, uri, username, password = who
    realm, nonce = fields.get(b"realm", b""), fields[b"nonce"]
    answer = _Answer(username, nonce, uri, b"")
    answer.algorithm, answer.nc, answer.cnonce = algorithm, b"%08x" % nc, cnonce
    ha1 = _hash(algorithm, b"%b:%b:%b" % (username, realm, password))
    qops = [word.strip().lower() for word in fields.get(b"qop", b"").split(b",") if word.strip()]
    if qops and b"auth" not in qops:
        return None
    if qops:
        response = answer.expected(ha1, method)
    else:  # RFC 2069 servers; RFC 3261 §22.4 still wants them served
        response = _hash(algorithm, b"%b:%b:%b" % (ha1, nonce, _hash(algorithm, method + b":" + uri)))
    parts = [
        b"Digest username=" + quote(username),
        b"realm=" + quote(realm),
        b'nonce="%b"' % nonce,
        b'uri="%b"' % uri,
        b'response="%b"' % response,
        b"algorithm=" + algorithm,
    ]
    if qops:
        parts += [b"qop=auth", b"nc=" + answer.nc, b"cnonce=" + quote(cnonce)]
    if b"opaque" in fields:
        parts.append(b"opaque=" + quote(fields[b"opaque"]))
    return b", ".join(parts)
