"""A registrar, and a phone that answers its challenges."""

from __future__ import annotations

from pydantic import SecretStr

from common.contracts.calls import PhoneRegistered, PhoneUnregistered
from common.service.directory import AgentEntry
from tas.registrar.registrar import Answer, Registrar, load_credentials
from tas.sip.digest import answer_challenge
from tas.sip.flow import Flow
from tas.sip.message import Request
from tas.sip.parser import parse_message

REALM = "opentas"
PHONE = ("192.0.2.9", 5060)
AGENTS = {number: AgentEntry(password=SecretStr(f"lab-{number}")) for number in ("1001", "1002")}
BINDING = b"<sip:1001@192.0.2.9:5060>"


def make_registrar(agents: dict[str, AgentEntry] | None = None, *, max_contacts: int = 3) -> Registrar:
    return Registrar(
        node="tas-1",
        realm=REALM,
        credentials=load_credentials(AGENTS if agents is None else agents, REALM),
        secret=b"secret of this process",
        max_contacts=max_contacts,
        path=lambda flow: b"<sip:flow-%d@192.0.2.1:5060;lr>" % flow.connection,
    )


def udp(port: int = 5060) -> Flow:
    return Flow("udp", (PHONE[0], port), ("192.0.2.1", 5060))


def tcp(connection: int = 1) -> Flow:
    return Flow("tcp", PHONE, ("192.0.2.1", 5060), connection)


def register_request(
    *contacts: bytes,
    expires: int | None = None,
    aor: bytes = b"1001",
    call_id: bytes = b"reg-1",
    cseq: int = 1,
    authorization: bytes = b"",
    extra: bytes = b"",
) -> Request:
    """A REGISTER as it comes from the wire."""
    lines = b"".join(b"Contact: %b\r\n" % contact for contact in contacts)
    lines += b"" if expires is None else b"Expires: %d\r\n" % expires
    lines += b"" if not authorization else b"Authorization: %b\r\n" % authorization
    message = parse_message(
        b"REGISTER sip:opentas SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKr%d\r\nMax-Forwards: 70\r\n"
        b"From: <sip:%b@opentas>;tag=1\r\nTo: <sip:%b@opentas>\r\nCall-ID: %b\r\nCSeq: %d REGISTER\r\n%b%b"
        b"Content-Length: 0\r\n\r\n" % (cseq, aor, aor, call_id, cseq, lines, extra)
    )
    assert isinstance(message, Request)
    return message


def challenges_of(answer: Answer) -> list[bytes]:
    return [value for name, value in answer.headers if name in (b"www-authenticate", b"proxy-authenticate")]


class Phone:
    """Registers as 1001 with the right password, counting its CSeq up."""

    def __init__(self, registrar: Registrar, *, flow: Flow | None = None, call_id: bytes = b"reg-1") -> None:
        self.registrar = registrar
        self.flow = flow or udp()
        self.call_id = call_id
        self.cseq = 0
        self.user = b"1001"
        self.password = b"lab-1001"
        self.now = 1000.0

    def authorization(self) -> bytes:
        """The answer to a fresh challenge."""
        refusal = self.registrar.register(register_request(), self.flow, self.now)
        assert refusal.status == 401
        value = answer_challenge(
            challenges_of(refusal), method=b"REGISTER", uri=b"sip:opentas", username=self.user,
            password=self.password, cnonce=b"c0ffee",
        )  # fmt: skip
        assert value is not None
        return value

    def register(
        self, *contacts: bytes, expires: int | None = None, cseq: int | None = None, aor: bytes = b"1001",
        extra: bytes = b"",
    ) -> Answer:  # fmt: skip
        """The final answer to an authorised REGISTER."""
        self.cseq += 1
        request = register_request(
            *contacts,
            expires=expires,
            aor=aor,
            call_id=self.call_id,
            cseq=self.cseq if cseq is None else cseq,
            authorization=self.authorization(),
            extra=extra,
        )
        return self.registrar.register(request, self.flow, self.now)


def listed(answer: Answer) -> list[bytes]:
    """The contacts of a 200."""
    assert answer.status == 200
    return [value for name, value in answer.headers if name == b"contact"]


def events_of(registrar: Registrar) -> list[tuple[str, str] | tuple[str, str, bool]]:
    """("+", contact) for one made, ("-", contact, last) for one ended."""
    found: list[tuple[str, str] | tuple[str, str, bool]] = []
    for event in registrar.take_events():
        if isinstance(event, PhoneRegistered):
            found.append(("+", event.binding.contact))
        else:
            assert isinstance(event, PhoneUnregistered)
            found.append(("-", event.binding.contact, event.last))
    return found
