"""The registrar: REGISTER requests in, answers and binding events out (RFC 3261 10.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from common.contracts.agents import Binding
from common.contracts.calls import PhoneRegistered, PhoneUnregistered
from common.service.directory import AgentEntry
from tas.registrar.bindings import Bindings, Contact
from tas.sip.digest import Credentials, DigestServer, Outcome, Verdict, make_credentials
from tas.sip.flow import Flow
from tas.sip.grammar import SipSyntaxError
from tas.sip.headers import NameAddr, parse_name_addr
from tas.sip.message import Header, Request
from tas.sip.uri import parse_uri

DEFAULT_EXPIRES_S: Final = 3600
MIN_EXPIRES_S: Final = 60
"""Shorter is answered 423 with Min-Expires: each refresh costs a digest."""
MAX_EXPIRES_S: Final = 7200

RegistrarEvent = PhoneRegistered | PhoneUnregistered


class Answer:
    """What to answer a REGISTER with."""

    __slots__ = ("headers", "reason", "status")

    def __init__(self, status: int, reason: bytes | None = None, headers: list[Header] | None = None) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers or []


def load_credentials(agents: Mapping[str, AgentEntry], realm: str) -> dict[bytes, Credentials]:
    """Digest credentials of all agents: from their passwords or their stored HA1 values."""
    loaded = {}
    for number, entry in agents.items():
        if entry.password is not None:
            secret = entry.password.get_secret_value().encode()
            loaded[number.encode()] = make_credentials(number.encode(), realm.encode(), secret)
        else:
            sha256 = entry.ha1_sha256.get_secret_value() if entry.ha1_sha256 else ""
            md5 = entry.ha1_md5.get_secret_value() if entry.ha1_md5 else ""
            loaded[number.encode()] = Credentials(sha256.encode(), md5.encode())
    return loaded


class Registrar:
    """Authenticates agents and keeps their bindings; sans-I/O, events are fetched with take_events()."""

    def __init__(
        self,
        *,
        node: str,
        realm: str,
        credentials: dict[bytes, Credentials],
        secret: bytes,
        max_contacts: int,
        path: Callable[[Flow], bytes],
    ) -> None:
        """`path(flow)` is the Route by which other nodes reach a phone on a connection of ours (RFC 3327)."""
        self.bindings = Bindings()
        self._path = path
        self._node = node
        self._credentials = credentials
        self._digest = DigestServer(realm.encode(), secret)
        self._max_contacts = max_contacts
        self._events: list[RegistrarEvent] = []

    def take_events(self) -> list[RegistrarEvent]:
        """Bindings made and ended since the last call."""
        events, self._events = self._events, []
        return events

    def next_timeout(self) -> float | None:
        """When a contact may expire."""
        return self.bindings.next_timeout()

    def handle_timeout(self, now: float) -> None:
        """End expired contacts."""
        for aor, key in self.bindings.take_expired(now):
            self._end(aor, key)

    def end_lost_flows(self) -> None:
        """End contacts whose TCP connection is gone."""
        for aor, key in self.bindings.of_lost_flows():
            self._end(aor, key)

    def authenticate(self, request: Request, now: float, *, proxy: bool = False) -> tuple[str, Answer | None]:
        """Check the digest: (agent, None), or ("", the answer to give)."""
        verdict = self._digest.verify(request, self._credentials.get, now, proxy=proxy)
        if verdict.outcome is Outcome.OK:
            return verdict.username.decode("ascii", "replace"), None
        return "", self._refusal(verdict, request, now, proxy)

    def _refusal(self, verdict: Verdict, request: Request, now: float, proxy: bool) -> Answer:
        if verdict.outcome is Outcome.WRONG:
            return Answer(403, b"Wrong user name or password")
        stale = verdict.outcome is Outcome.STALE
        challenges = self._digest.challenges(now, request=request, stale=stale, proxy=proxy)
        return Answer(407 if proxy else 401, None, challenges)

    def register(self, request: Request, flow: Flow, now: float) -> Answer:
        """Answer a REGISTER."""
        agent, refusal = self.authenticate(request, now)
        if refusal is not None:
            return refusal
        try:
            aor = request.to.parsed_uri().user
            contacts = (
                [] if request.get(b"contact") == b"*" else [parse_name_addr(c) for c in request.values(b"contact")]
            )
            keyed = [(_key(contact), contact) for contact in contacts]
            star = request.get(b"contact") == b"*"
            default = _default_expires(request)
        except SipSyntaxError as error:
            return Answer(400, f"Bad Request: {error}".encode())
        if aor is None or aor.decode("ascii", "replace") != agent:
            # RFC 3261 10.3 step 4: authenticated, but not for this address of record.
            return Answer(403, b"Not authorised for this address of record")
        if star:
            if default != 0 or len(request.values(b"contact")) != 1:
                return Answer(400, b"Contact: * needs Expires: 0 and stands alone")
            return self._unregister_all(agent, request, now)
        return self._update(agent, keyed, default, request, flow, now)

    def _unregister_all(self, aor: str, request: Request, now: float) -> Answer:
        for key, contact in list(self.bindings.contacts(aor).items()):
            if contact.call_id != request.call_id or contact.cseq < request.cseq:
                self._end(aor, key)
        return self._listing(aor, now)

    def _update(
        self, aor: str, contacts: list[tuple[str, NameAddr]], default: int, request: Request, flow: Flow, now: float
    ) -> Answer:
        """RFC 3261 10.3 steps 6 to 8: check everything, then change; a refused request changes nothing."""
        wanted: list[tuple[str, NameAddr, int]] = []
        for key, contact in contacts:
            expires = _expires_of(contact, default)
            if 0 < expires < MIN_EXPIRES_S:
                return Answer(423, None, [(b"min-expires", b"%d" % MIN_EXPIRES_S)])
            old = self.bindings.contacts(aor).get(key)
            if old is not None and old.call_id == request.call_id and old.cseq >= request.cseq:
                return Answer(500, b"CSeq out of order", [(b"retry-after", b"1")])
            wanted.append((key, contact, min(expires, MAX_EXPIRES_S)))
        made = {key for key, _, expires in wanted if expires}
        # a phone with a new address ends the old one in the same request: under one instance that is the same binding
        ended = [key for key, _, expires in wanted if not expires and key not in made]
        if len(made) > self._max_contacts:
            return Answer(403, b"Too many contacts, at most %d" % self._max_contacts)
        # a phone that was killed and has a new port each time shall get in: the contact that would end first gives way
        others = {key: known for key, known in self.bindings.contacts(aor).items() if key not in made}
        others = {key: known for key, known in others.items() if key not in ended}
        spare = len(made) + len(others) - self._max_contacts if made else 0
        ended += sorted(others, key=lambda key: others[key].expires_at)[: max(0, spare)]
        for key, contact, expires in wanted:
            if expires:
                self._bind(aor, key, contact, expires, request, flow, now)
        for key in ended:  # last, so that the agent is not logged out in between
            self._end(aor, key)
        return self._listing(aor, now)

    def _bind(
        self, aor: str, key: str, contact: NameAddr, expires: int, request: Request, flow: Flow, now: float
    ) -> None:
        binding = Binding(
            aor=aor,
            node=self._node,
            contact=contact.uri.decode("utf-8", "replace"),
            address=flow.remote[0],
            port=flow.remote[1],
            transport=flow.transport,
            instance=_instance(contact),
            user_agent=(request.get(b"user-agent") or b"").decode("utf-8", "replace")[:80],
            path=self._path(flow).decode("ascii") if flow.reliable else "",
        )
        made = Contact(key, binding, flow, request.call_id, request.cseq, now, now + expires)
        if self.bindings.put(aor, made):
            self._events.append(PhoneRegistered(binding))

    def _end(self, aor: str, key: str) -> None:
        contact = self.bindings.remove(aor, key)
        if contact is not None:
            self._events.append(PhoneUnregistered(contact.binding, last=not self.bindings.contacts(aor)))

    def _listing(self, aor: str, now: float) -> Answer:
        headers = [
            (
                b"contact",
                b"<%b>;expires=%d" % (contact.binding.contact.encode(), max(0, round(contact.expires_at - now))),
            )
            for contact in self.bindings.contacts(aor).values()
        ]
        return Answer(200, None, headers)


def _default_expires(request: Request) -> int:
    raw = request.get(b"expires")
    return int(raw) if raw is not None and raw.isdigit() and len(raw) < 11 else DEFAULT_EXPIRES_S


def _expires_of(contact: NameAddr, default: int) -> int:
    raw = contact.params.get(b"expires")
    return int(raw) if raw is not None and raw.isdigit() and len(raw) < 11 else default


def contact_key(binding: Binding) -> str:
    """What makes two contacts the same phone: its instance (RFC 5626), else its URI without parameters."""
    return binding.instance or _uri_key(binding.contact.encode())


def _uri_key(raw: bytes) -> str:
    uri = parse_uri(raw)
    return f"{(uri.user or b'').decode('utf-8', 'replace')}@{uri.host.decode('ascii', 'replace')}:{uri.port or 5060}"


def _key(contact: NameAddr) -> str:
    instance = _instance(contact)
    return instance or _uri_key(contact.uri)


def _instance(contact: NameAddr) -> str:
    instance = contact.params.get(b"+sip.instance")
    if not instance:
        return ""
    reg_id = contact.params.get(b"reg-id")
    return (instance.strip(b'"') + (b"|" + reg_id if reg_id else b"")).decode("utf-8", "replace")
