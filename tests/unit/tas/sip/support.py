"""Messages and cores for the tests of transactions, dialogs, usages and the layer."""

from __future__ import annotations

import random
import re

from tas.sip.core import Core
from tas.sip.events import Event
from tas.sip.flow import Flow
from tas.sip.heads import RequestHead
from tas.sip.layer import LayerSettings, SipLayer
from tas.sip.message import Request, Response
from tas.sip.parser import parse_message
from tas.sip.trace import MessageTrace

LOCAL = ("192.0.2.1", 5060)
PEER = ("192.0.2.9", 5060)
SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"
NOTHING = {"transactions": 0, "dialogs": 0, "usages": 0, "timers": 0}


def udp() -> Flow:
    """The flow of the peer over UDP."""
    return Flow("udp", PEER, LOCAL)


def tcp(connection: int = 1) -> Flow:
    """The flow of the peer over TCP."""
    return Flow("tcp", PEER, LOCAL, connection)


def make_core() -> Core:
    """What transactions need."""
    return Core(random.Random(1).randbytes, LayerSettings(udp=LOCAL, tcp=LOCAL), None)


def make_head(branch: bytes = b"z9hG4bK1") -> RequestHead:
    """The head of some INVITE of ours."""
    return RequestHead(
        b"sip:b@192.0.2.9",
        b"SIP/2.0/UDP 192.0.2.1:5060;rport;branch=",
        branch,
        b"<sip:a@a>;tag=1",
        b"<sip:b@b>",
        b"c",
        1,
    )


def make_request(
    method: bytes = b"INVITE",
    *,
    uri: bytes = b"sip:8000@192.0.2.1",
    branch: bytes = b"z9hG4bKpeer1",
    via: bytes | None = None,
    from_: bytes = b"<sip:a@192.0.2.9>;tag=peer",
    to: bytes = b"<sip:8000@192.0.2.1>",
    call_id: bytes = b"call-1",
    cseq: int = 1,
    extra: bytes = b"",
    body: bytes = b"",
) -> Request:
    """A request of the peer; `extra` is header lines with their line ends."""
    if via is None:
        via = b"SIP/2.0/UDP 192.0.2.9:5060;rport;branch=" + branch
    if body and b"Content-Type" not in extra:
        extra += b"Content-Type: application/sdp\r\n"
    message = parse_message(
        b"%b %b SIP/2.0\r\nVia: %b\r\nMax-Forwards: 70\r\nFrom: %b\r\nTo: %b\r\nCall-ID: %b\r\nCSeq: %d %b\r\n"
        b"Contact: <sip:a@192.0.2.9:5060>\r\n%bContent-Length: %d\r\n\r\n%b"
        % (method, uri, via, from_, to, call_id, cseq, method, extra, len(body), body)
    )
    assert isinstance(message, Request)
    return message


def make_answer(
    request: bytes, status: int, *, tag: bytes = b"peer", extra: bytes = b"", body: bytes = b""
) -> Response:
    """The peer's response to one of our requests."""
    lines = [line for line in request.split(b"\r\n") if line[:4] in (b"Via:", b"From", b"Call", b"CSeq")]
    to = header(request, b"To")
    if b"tag=" not in to and tag:
        to += b";tag=" + tag
    if b"Contact" not in extra:
        extra = b"Contact: <sip:b@192.0.2.9:5060>\r\n" + extra
    if body:
        extra += b"Content-Type: application/sdp\r\n"
    message = parse_message(
        b"SIP/2.0 %d Reason\r\n%b\r\nTo: %b\r\n%bContent-Length: %d\r\n\r\n%b"
        % (status, b"\r\n".join(lines), to, extra, len(body), body)
    )
    assert isinstance(message, Response)
    return message


def header(data: bytes, name: bytes) -> bytes:
    """The first value of a header on the wire, empty when absent."""
    found = re.search(rb"\r\n" + name + rb": ([^\r]*)", data)
    return found.group(1) if found else b""


def start_line(data: bytes) -> bytes:
    """Method or status of a message on the wire."""
    first, second = data.split(b" ", 2)[:2]
    return second if first == b"SIP/2.0" else first


class Bench:
    """One layer between a scripted peer and a scripted user, on a virtual clock."""

    def __init__(self, *, trace: MessageTrace | None = None, seed: int = 1) -> None:
        self.layer = SipLayer(
            random=random.Random(seed).randbytes, settings=LayerSettings(udp=LOCAL, tcp=LOCAL), trace=trace
        )
        self.now = 0.0
        self.flow = udp()
        self.flows: list[Flow] = []

    def receive(self, message: Request | Response, flow: Flow | None = None) -> None:
        """The peer's message arrives."""
        self.layer.receive_message(message, flow or self.flow, self.now)

    def sent(self) -> list[bytes]:
        """What the layer sent since the last look."""
        sends = self.layer.take_sends()
        self.flows = [send.flow for send in sends]
        return [send.data for send in sends]

    def starts(self) -> list[bytes]:
        """Methods and status codes of what was sent since the last look."""
        return [start_line(data) for data in self.sent()]

    def one(self) -> bytes:
        """The only message sent since the last look."""
        (data,) = self.sent()
        return data

    def events(self) -> list[Event]:
        """What the user learned since the last look."""
        return self.layer.take_events()

    def event(self) -> Event:
        """The only event since the last look."""
        (event,) = self.events()
        return event

    def pass_time(self, seconds: float) -> None:
        """Let timers fire, one at a time."""
        until = self.now + seconds
        while (at := self.layer.next_timeout()) is not None and at <= until:
            self.now = at
            self.layer.handle_timeout(at)
        self.now = until

    def run_out(self) -> None:
        """Let everything end; nothing may be left."""
        self.pass_time(100.0)
        self.events()
        self.sent()
        assert self.layer.counts() == NOTHING
