"""Callers and agents for latency figures: one process, so that both ends of a call are timed by one clock.

Plain text templates over UDP, independent of the stack they measure. Loopback loses nothing here, so nothing is
retransmitted; a call that does not complete is counted as failed.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from dataclasses import dataclass, field

Address = tuple[str, int]

SDP = (
    "v=0\r\no=peer 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)


def header(message: str, name: str) -> str:
    """First value of a header, empty when absent."""
    found = re.search(rf"^{name}\s*:\s*(.*?)\r?$", message, re.I | re.M)
    return found.group(1) if found else ""


def headers(message: str, name: str) -> str:
    """All lines of a header, as they stood, each with its line end."""
    return "".join(f"{name}: {value}\r\n" for value in re.findall(rf"^{name}\s*:\s*(.*?)\r?$", message, re.I | re.M))


def contact_uri(message: str) -> str:
    """The URI of the Contact header."""
    value = header(message, "Contact")
    found = re.search(r"<([^>]+)>", value)
    return found.group(1) if found else value.split(";")[0]


def reply(request: str, status: str, *, tag: str = "", contact: str = "", sdp: str = "") -> str:
    """Build a response to a request."""
    to = header(request, "To")
    if tag and "tag=" not in to:
        to += f";tag={tag}"
    lines = [f"SIP/2.0 {status}\r\n", headers(request, "Via"), headers(request, "Record-Route")]
    lines.append(f"From: {header(request, 'From')}\r\nTo: {to}\r\nCall-ID: {header(request, 'Call-ID')}\r\n")
    lines.append(f"CSeq: {header(request, 'CSeq')}\r\n")
    if contact:
        lines.append(f"Contact: <{contact}>\r\n")
    if sdp:
        lines.append("Content-Type: application/sdp\r\n")
    lines.append(f"Content-Length: {len(sdp)}\r\n\r\n{sdp}")
    return "".join(lines)


class _Socket(asyncio.DatagramProtocol):
    def __init__(self, on_message: object) -> None:
        self.on_message = on_message
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, address: Address) -> None:
        self.on_message(data.decode(), address)  # type: ignore[operator]

    def send(self, message: str, address: Address) -> None:
        assert self.transport is not None
        self.transport.sendto(message.encode(), address)


@dataclass
class CallTimes:
    """Seconds of time.perf_counter() at which a call's messages passed."""

    invited: float
    agent_invited: float = 0.0
    answered: float = 0.0
    ended: bool = False


@dataclass
class Agents:
    """Registered phones on one port that answer every call after `ring_s`."""

    host: str
    server: Address
    realm: str = "opentas"
    ring_s: float = 0.02
    invited: list[tuple[str, str, float]] = field(default_factory=list)
    """(agent, caller number, time) of each INVITE."""
    registered: dict[str, float] = field(default_factory=dict)
    """Agent -> time of the 200 to its REGISTER."""
    answer: bool = True

    async def start(self) -> None:
        """Bind a port of the kernel's choice."""
        loop = asyncio.get_running_loop()
        _, self.socket = await loop.create_datagram_endpoint(lambda: _Socket(self._received), local_addr=(self.host, 0))
        self.port = self.socket.transport.get_extra_info("sockname")[1]  # type: ignore[union-attr]
        self._passwords: dict[str, str] = {}

    def register(self, agent: str, password: str, expires: int = 600) -> None:
        """Send a REGISTER; the challenge is answered when it comes."""
        self._passwords[agent] = password
        self._send_register(agent, f"reg-{agent}-{time.perf_counter_ns()}", 1, "", expires)

    def _send_register(self, agent: str, call_id: str, cseq: int, authorization: str, expires: int) -> None:
        uri = f"sip:{self.realm}"
        branch = f"z9hG4bK{call_id}{cseq}"
        self.socket.send(
            f"REGISTER {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {self.host}:{self.port};branch={branch};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:{agent}@{self.realm}>;tag={agent}\r\nTo: <sip:{agent}@{self.realm}>\r\n"
            f"Call-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\nContact: <sip:{agent}@{self.host}:{self.port}>\r\n"
            f"Expires: {expires}\r\n{authorization}Content-Length: 0\r\n\r\n",
            self.server,
        )

    def _challenged(self, message: str) -> None:
        agent = re.search(r"sip:([^@]+)@", header(message, "From")).group(1)  # type: ignore[union-attr]
        challenge = header(message, "WWW-Authenticate")
        values = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge))
        digest = hashlib.sha256 if values.get("algorithm", "MD5") == "SHA-256" else hashlib.md5
        uri = f"sip:{self.realm}"

        def h(text: str) -> str:
            return digest(text.encode()).hexdigest()

        ha1 = h(f"{agent}:{values['realm']}:{self._passwords[agent]}")
        response = h(f"{ha1}:{values['nonce']}:00000001:c:auth:{h(f'REGISTER:{uri}')}")
        authorization = (
            f'Authorization: Digest username="{agent}", realm="{values["realm"]}", nonce="{values["nonce"]}", '
            f'uri="{uri}", response="{response}", algorithm={values.get("algorithm", "MD5")}, cnonce="c", nc=00000001, '
            "qop=auth\r\n"
        )
        self._send_register(agent, header(message, "Call-ID"), 2, authorization, 600)

    def _received(self, message: str, address: Address) -> None:
        if message.startswith("SIP/2.0 401") and "REGISTER" in header(message, "CSeq"):
            if header(message, "CSeq").startswith("1 "):
                self._challenged(message)
        elif message.startswith("SIP/2.0 200") and "REGISTER" in header(message, "CSeq"):
            agent = re.search(r"sip:([^@]+)@", header(message, "From")).group(1)  # type: ignore[union-attr]
            self.registered[agent] = time.perf_counter()
        elif message.startswith("INVITE"):
            self._invited(message, address)
        elif message.startswith(("BYE", "OPTIONS", "CANCEL")):
            self.socket.send(reply(message, "200 OK", tag="a"), address)

    def _invited(self, message: str, address: Address) -> None:
        agent = re.match(r"INVITE sip:([^@]+)@", message).group(1)  # type: ignore[union-attr]
        caller = re.search(r"sip:([^@>]+)@", header(message, "From"))
        self.invited.append((agent, caller.group(1) if caller else "", time.perf_counter()))
        contact = f"sip:{agent}@{self.host}:{self.port}"
        self.socket.send(reply(message, "180 Ringing", tag="a", contact=contact), address)
        if self.answer:
            answer = reply(
                message, "200 OK", tag="a", contact=contact, sdp=SDP.format(host=self.host, port=self.port + 1)
            )
            asyncio.get_running_loop().call_later(self.ring_s, self.socket.send, answer, address)

    def close(self) -> None:
        """Close the socket."""
        if self.socket.transport is not None:
            self.socket.transport.close()


@dataclass
class Callers:
    """Trunk callers on one port; each call has its own caller number."""

    host: str
    server: Address
    hold_s: float = 0.5
    calls: dict[str, CallTimes] = field(default_factory=dict)
    """Caller number -> times."""

    async def start(self) -> None:
        """Bind a port of the kernel's choice."""
        loop = asyncio.get_running_loop()
        _, self.socket = await loop.create_datagram_endpoint(lambda: _Socket(self._received), local_addr=(self.host, 0))
        self.port = self.socket.transport.get_extra_info("sockname")[1]  # type: ignore[union-attr]
        self._hang_up_when_answered = True

    def call(self, number: str, caller: str, *, hold_s: float | None = None) -> None:
        """Send an INVITE; the call ends `hold_s` after its 200."""
        self.calls[caller] = CallTimes(time.perf_counter())
        sdp = SDP.format(host=self.host, port=self.port + 1)
        self.socket.send(
            f"INVITE sip:{number}@{self.server[0]}:{self.server[1]} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {self.host}:{self.port};branch=z9hG4bKi{caller};rport\r\nMax-Forwards: 70\r\n"
            f"From: <sip:{caller}@{self.host}>;tag=c{caller}\r\nTo: <sip:{number}@{self.server[0]}>\r\n"
            f"Call-ID: call-{caller}@{self.host}\r\nCSeq: 1 INVITE\r\n"
            f"Contact: <sip:{caller}@{self.host}:{self.port}>\r\n"
            f"Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n\r\n{sdp}",
            self.server,
        )
        self._hold = self.hold_s if hold_s is None else hold_s

    def _received(self, message: str, address: Address) -> None:
        cseq = header(message, "CSeq")
        if message.startswith("SIP/2.0 200") and "INVITE" in cseq:
            self._answered(message, address)
        elif message.startswith("SIP/2.0 200") and "BYE" in cseq:
            self.calls[self._caller(message)].ended = True
        elif message.startswith(("BYE", "OPTIONS")):
            self.socket.send(reply(message, "200 OK"), address)

    @staticmethod
    def _caller(message: str) -> str:
        return header(message, "Call-ID").split("@")[0].removeprefix("call-")

    def _answered(self, message: str, address: Address) -> None:
        caller = self._caller(message)
        times = self.calls[caller]
        if times.answered:
            return
        times.answered = time.perf_counter()
        self._in_dialog(message, "ACK", 1, address)
        asyncio.get_running_loop().call_later(self._hold, self._in_dialog, message, "BYE", 2, address)

    def _in_dialog(self, message: str, method: str, cseq: int, address: Address) -> None:
        caller = self._caller(message)
        self.socket.send(
            f"{method} {contact_uri(message)} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {self.host}:{self.port};branch=z9hG4bK{method}{caller};rport\r\nMax-Forwards: 70\r\n"
            f"From: {header(message, 'From')}\r\nTo: {header(message, 'To')}\r\n"
            f"Call-ID: {header(message, 'Call-ID')}\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n",
            address,
        )

    def close(self) -> None:
        """Close the socket."""
        if self.socket.transport is not None:
            self.socket.transport.close()
