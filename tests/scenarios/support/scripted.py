"""Peers for load: scripts over text templates that cost little CPU and still repeat what got lost.

A caller sends INVITE, acknowledges the 200, hangs up at once with a BYE; a phone answers 180 and 200 at once. Both
repeat as RFC 3261 wants it: requests after T1, doubling, until they are answered, a 200 until its ACK.
"""

from __future__ import annotations

import re
from typing import Final

from tas.sip.flow import Address, Flow, Send
from tests.scenarios.support.sdp import ANSWER, OFFER
from tests.scenarios.support.world import Host, World

T1_S: Final = 0.5
T2_S: Final = 4.0
MAX_TRIES: Final = 11
CALL_ID: Final = re.compile(rb"\r\nCall-ID: ([^\r]*)")
CSEQ: Final = re.compile(rb"\r\nCSeq: \d+ (\w+)")
TO: Final = re.compile(rb"\r\nTo: ([^\r]*)")
CONTACT: Final = re.compile(rb"\r\nContact: <([^>]*)>")
ECHOED: Final = re.compile(rb"\r\n((?:Via|From|Call-ID|CSeq): [^\r]*)")


def _field(pattern: re.Pattern[bytes], data: bytes) -> bytes:
    found = pattern.search(data)
    return found.group(1) if found else b""


class Scripted(Host):
    """A process that has addresses but no SIP layer."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.open: dict[bytes, tuple[int, bytes]] = {}
        """What waits for its answer: key -> (tries, data)."""

    def transmit(self, source: Address, target: Address, data: bytes) -> None:
        self.world.send(source, Send(Flow("udp", target, source), data))

    def repeat(self, key: bytes, source: Address, target: Address, data: bytes) -> None:
        """Send, and again until `settled(key)`."""
        self.open[key] = (0, data)
        self._again(key, source, target, T1_S)

    def _again(self, key: bytes, source: Address, target: Address, interval_s: float) -> None:
        waiting = self.open.get(key)
        if waiting is None or waiting[0] >= MAX_TRIES:
            return
        self.open[key] = (waiting[0] + 1, waiting[1])
        self.transmit(source, target, waiting[1])
        self.world.after(interval_s, self, self._again, key, source, target, min(2 * interval_s, T2_S))

    def settled(self, key: bytes) -> None:
        """The answer is here."""
        self.open.pop(key, None)


class ScriptedCallers(Scripted):
    """Callers of a trunk, each call with its own Call-ID."""

    def __init__(self, world: World, address: Address, server: Address) -> None:
        super().__init__(world)
        self.address = address
        self.server = server
        self.placed = 0
        self.refused: list[bytes] = []
        self._acks: dict[bytes, bytes] = {}
        self.ended = 0
        world.hosts[address] = self

    @property
    def answered(self) -> int:
        """Calls that got a 200."""
        return len(self._acks)

    def call(self, number: str) -> None:
        """Send an INVITE."""
        self.placed += 1
        call_id = b"load-%d" % self.placed
        data = self._request(b"INVITE", b"sip:%b@127.0.0.1" % number.encode(), call_id, 1, b"<sip:x@opentas>", OFFER)
        self.repeat(b"INVITE " + call_id, self.address, self.server, data)

    def _request(self, method: bytes, uri: bytes, call_id: bytes, cseq: int, to: bytes, body: bytes = b"") -> bytes:
        host, port = self.address[0].encode(), self.address[1]
        kind = b"Content-Type: application/sdp\r\n" if body else b""
        return (
            b"%b %b SIP/2.0\r\nVia: SIP/2.0/UDP %b:%d;rport;branch=z9hG4bK%b%b\r\nMax-Forwards: 70\r\n"
            b"From: <sip:030@%b>;tag=%b\r\nTo: %b\r\nCall-ID: %b\r\nCSeq: %d %b\r\nContact: <sip:030@%b:%d>\r\n"
            b"%bContent-Length: %d\r\n\r\n%b"
            % (method, uri, host, port, method, call_id, host, call_id, to, call_id, cseq, method, host, port, kind,
               len(body), body)
        )  # fmt: skip

    def receive(self, data: bytes, _flow: Flow) -> None:
        """A response to us."""
        if not data.startswith(b"SIP/2.0 "):
            return
        call_id, method, status = _field(CALL_ID, data), _field(CSEQ, data), data[8:11]
        if method == b"BYE":
            if b"BYE " + call_id in self.open and status >= b"200":
                self.settled(b"BYE " + call_id)
                self.ended += 1
            return
        self.settled(b"INVITE " + call_id)
        if status >= b"300":
            self.refused.append(status)
        elif status >= b"200":
            self._answered(call_id, data)

    def _answered(self, call_id: bytes, data: bytes) -> None:
        ack = self._acks.get(call_id)
        if ack is not None:  # our ACK was lost
            self.transmit(self.address, self.server, ack)
            return
        to, target = _field(TO, data), _field(CONTACT, data)
        ack = self._acks[call_id] = self._request(b"ACK", target, call_id, 1, to)
        self.transmit(self.address, self.server, ack)
        bye = self._request(b"BYE", target, call_id, 2, to)
        self.repeat(b"BYE " + call_id, self.address, self.server, bye)


class ScriptedPhones(Scripted):
    """Takes the place of registered phones, at their addresses."""

    def __init__(self, world: World, addresses: list[Address]) -> None:
        super().__init__(world)
        self.taken: set[bytes] = set()
        for address in addresses:
            world.hosts[address] = self

    def receive(self, data: bytes, flow: Flow) -> None:
        """A request of the TAS."""
        call_id = _field(CALL_ID, data)
        if data.startswith(b"INVITE"):
            self._invited(call_id, data, flow)
        elif data.startswith(b"ACK"):
            self.settled(call_id)
        elif data.startswith((b"BYE", b"CANCEL")):
            self.settled(call_id)
            self.transmit(flow.local, flow.remote, self._response(b"200 OK", data, flow))

    def _invited(self, call_id: bytes, data: bytes, flow: Flow) -> None:
        if call_id in self.taken:  # what we said was lost
            if call_id in self.open:
                self.transmit(flow.local, flow.remote, self.open[call_id][1])
            return
        self.taken.add(call_id)
        self.transmit(flow.local, flow.remote, self._response(b"180 Ringing", data, flow))
        self.repeat(call_id, flow.local, flow.remote, self._response(b"200 OK", data, flow, ANSWER))

    def _response(self, status: bytes, request: bytes, flow: Flow, body: bytes = b"") -> bytes:
        kind = b"Content-Type: application/sdp\r\n" if body else b""
        to = _field(TO, request)
        tag = b"" if b";tag=" in to else b";tag=phone"
        return b"SIP/2.0 %b\r\n%b\r\nTo: %b%b\r\nContact: <sip:phone@%b:%d>\r\n%bContent-Length: %d\r\n\r\n%b" % (
            status,
            b"\r\n".join(ECHOED.findall(request)),
            to,
            tag,
            flow.local[0].encode(),
            flow.local[1],
            kind,
            len(body),
            body,
        )
