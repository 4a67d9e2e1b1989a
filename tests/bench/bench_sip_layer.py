"""CPU of all SIP work of a complete two-leg call: parse, transactions, dialogs, both usages, render, trace.

Thirteen messages: INVITE in, 100, 180, 200 out, ACK in, BYE in, 200 out on the caller's leg; INVITE out, 180 and 200
in, ACK and BYE out, 200 in on the agent's. The peers' messages are made outside the measured time. The floor is
parsing the received messages and nothing else.
"""

from __future__ import annotations

import gc
import random
import re
from time import process_time

from tas.sip.events import InviteReceived, UsageAnswered, UsageEnded, UsageProgress
from tas.sip.flow import Flow
from tas.sip.layer import LayerSettings, SipLayer
from tas.sip.parser import parse_message
from tas.sip.trace import MessageTrace

CALLS = 500
ROUNDS = 5
AIM_MS = 0.35

SDP = (
    b"v=0\r\no=- 20518 20518 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
    b"m=audio 41000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
)
TRUNK = Flow("udp", ("192.0.2.10", 5060))
PHONE = Flow("udp", ("192.0.2.20", 5062))

IN_DIALOG = (
    b"%b sip:tas@192.0.2.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK%b%d;rport\r\n"
    b'Max-Forwards: 70\r\nFrom: "Caller" <sip:+468123456@192.0.2.10>;tag=c%d\r\nTo: <sip:8000@192.0.2.1>;tag=%b\r\n'
    b"Call-ID: bench-%d@192.0.2.10\r\nCSeq: %d %b\r\nUser-Agent: PBX 1.0\r\nContent-Length: 0\r\n\r\n"
)


def invite(number: int) -> bytes:
    """The trunk's INVITE."""
    return (
        b"INVITE sip:8000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKinv%d;rport\r\n"
        b'Max-Forwards: 70\r\nFrom: "Caller" <sip:+468123456@192.0.2.10>;tag=c%d\r\nTo: <sip:8000@192.0.2.1>\r\n'
        b"Call-ID: bench-%d@192.0.2.10\r\nCSeq: 1 INVITE\r\nContact: <sip:pbx@192.0.2.10:5060>\r\n"
        b"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, PRACK, REFER, NOTIFY\r\nSupported: timer, 100rel\r\n"
        b"P-Asserted-Identity: <sip:+468123456@192.0.2.10>\r\nUser-Agent: PBX 1.0\r\n"
        b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%b"
    ) % (number, number, number, len(SDP), SDP)


def reply(request: bytes, status: bytes, tag: bytes, body: bytes) -> bytes:
    """The phone's response to one of our requests."""
    lines = [line for line in request.split(b"\r\n") if line[:4] in (b"Via:", b"From", b"Call", b"CSeq")]
    to = re.search(rb"\r\n(To: [^\r]*)", request)
    assert to is not None
    ending = to.group(1) if b"tag=" in to.group(1) else to.group(1) + b";tag=" + tag
    lines += [ending, b"Contact: <sip:1001@192.0.2.20:5062>", b"User-Agent: Phone 2.0"]
    if body:
        lines.append(b"Content-Type: application/sdp")
    return b"SIP/2.0 %b\r\n%b\r\nContent-Length: %d\r\n\r\n%b" % (status, b"\r\n".join(lines), len(body), body)


class Node:
    """A layer with the shortest of B2BUA users."""

    def __init__(self) -> None:
        self.layer = SipLayer(
            random=random.Random(1).randbytes,
            settings=LayerSettings(udp=("192.0.2.1", 5060)),
            trace=MessageTrace(),
        )
        self.now = 0.0
        self.cpu = 0.0
        self.ended = 0

    def feed(self, messages: list[tuple[bytes, Flow]]) -> list[bytes]:
        """Hand in messages and return what was sent, as one measured stretch."""
        sent: list[bytes] = []
        layer, now = self.layer, self.now
        start = process_time()
        for data, flow in messages:
            layer.receive_message(parse_message(data), flow, now)
            self.act()
            sent += [send.data for send in layer.take_sends()]
            layer.next_timeout()
        self.cpu += process_time() - start
        return sent

    def act(self) -> None:
        layer, now = self.layer, self.now
        for event in layer.take_events():
            if isinstance(event, InviteReceived):
                event.usage.owner = layer.invite(
                    uri=b"sip:1001@192.0.2.20:5062",
                    flow=PHONE,
                    from_=event.request.get(b"from").partition(b";tag=")[0],  # type: ignore[union-attr]
                    to=b"<sip:1001@192.0.2.1>",
                    body=event.request.body,
                    now=now,
                )
                event.usage.owner.owner = event.usage  # type: ignore[attr-defined]
            elif isinstance(event, UsageProgress):
                event.usage.owner.progress(180, now=now)  # type: ignore[union-attr]
            elif isinstance(event, UsageAnswered):
                event.usage.owner.answer(event.body, now)  # type: ignore[union-attr]
            elif isinstance(event, UsageEnded):
                event.usage.owner.end(now)  # type: ignore[union-attr]
                self.ended += 1

    def expire(self) -> None:
        """Let every timer run out, measured too: it is part of the call."""
        start = process_time()
        at = self.layer.next_timeout()
        while at is not None:
            self.now = at
            self.layer.handle_timeout(at)
            at = self.layer.next_timeout()
        self.cpu += process_time() - start


def only(sent: list[bytes], start: bytes) -> list[bytes]:
    """The messages that begin so."""
    return [data for data in sent if data.startswith(start)]


def tag_of(response: bytes) -> bytes:
    """The To-tag of one of our responses."""
    found = re.search(rb"\r\nTo: [^\r]*;tag=([^\r;]+)", response)
    assert found is not None
    return found.group(1)


def play(node: Node, first: int) -> list[bytes]:
    """CALLS calls, step by step side by side; returns what the peers sent."""
    received: list[tuple[bytes, Flow]] = []

    def step(messages: list[bytes], flow: Flow) -> list[bytes]:
        batch = [(data, flow) for data in messages]
        received.extend(batch)
        return node.feed(batch)

    numbers = range(first, first + CALLS)
    invites = only(step([invite(number) for number in numbers], TRUNK), b"INVITE")
    step([reply(data, b"180 Ringing", b"p", b"") for data in invites], PHONE)
    answers = only(step([reply(data, b"200 OK", b"p", SDP) for data in invites], PHONE), b"SIP/2.0 200")
    tags = [tag_of(data) for data in answers]
    both = list(zip(numbers, tags, strict=True))
    step([IN_DIALOG % (b"ACK", b"ack", n, n, tag, n, 1, b"ACK") for n, tag in both], TRUNK)
    byes = [IN_DIALOG % (b"BYE", b"bye", n, n, tag, n, 2, b"BYE") for n, tag in both]
    node.now += 10.0
    step([reply(data, b"200 OK", b"p", b"") for data in only(step(byes, TRUNK), b"BYE")], PHONE)
    node.expire()
    assert not any(node.layer.counts().values()), node.layer.counts()
    return [data for data, _ in received]


def _parse_all(messages: list[bytes]) -> float:
    start = process_time()
    for data in messages:
        parse_message(data)
    return process_time() - start


def run() -> dict[str, dict[str, object]]:
    """Best of a few rounds, in CPU-ms per call."""
    gc.set_threshold(50_000, 20, 100)  # as every process of the node sets it
    best = floor = 1e9
    for round_ in range(ROUNDS):
        node = Node()
        messages = play(node, round_ * CALLS)
        assert node.ended == CALLS
        best = min(best, node.cpu / CALLS * 1000)
        floor = min(floor, _parse_all(messages) / CALLS * 1000)
    return {
        "sip_two_leg_call": {
            "value": round(best, 4),
            "unit": "CPU-ms/call",
            "floor": round(floor, 4),
            "ratio": round(best / floor, 2),
            "aim": AIM_MS,
            "ok": best <= AIM_MS,
        }
    }


if __name__ == "__main__":
    print(run())
