"""SIP by hand: requests as bytes, sockets that send what no SIP stack would, answers taken apart just enough."""

from __future__ import annotations

import hashlib
import itertools
import re
import socket
import time
from dataclasses import dataclass

from tests.system.support.lab import wait_for

ANSWER_TIMEOUT_S = 3.0
QUIET_S = 0.3
"""How long nothing must come when no answer may; an OPTIONS sent afterwards is answered first anyway."""
PROMPT_MS = 50.0
PROMPT_TRIES = 10
"""On a busy machine one measurement may be late by itself; a loop that is held up is late every time."""
SDP = """\
v=0\r
o=- 1 1 IN IP4 127.0.0.2\r
s=-\r
c=IN IP4 127.0.0.2\r
t=0 0\r
m=audio 40000 RTP/AVP {formats}\r
"""
_numbers = itertools.count(1)


@dataclass
class Answer:
    """A response: its status, reason phrase and headers (lower-case names, all values)."""

    status: int
    reason: str
    headers: dict[str, list[str]]

    def __getitem__(self, name: str) -> str:
        return self.headers[name][0]

    def get(self, name: str) -> str:
        """A header's first value, empty when it is absent."""
        return self.headers.get(name, [""])[0]


def parse_answer(data: bytes) -> Answer:
    """Read a response."""
    head = data.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
    first, *lines = head.split("\r\n")
    version, status, reason = first.split(" ", 2)
    assert version == "SIP/2.0", first
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers.setdefault(name.strip().lower(), []).append(value.strip())
    return Answer(int(status), reason, headers)


def request(
    method: str,
    user: str = "8000",
    *,
    source: tuple[str, int],
    transport: str = "UDP",
    changes: dict[str, str | None] | None = None,
    body: str = "",
    version: str = "SIP/2.0",
    call_id: str = "",
    cseq: int = 1,
) -> bytes:
    """A request with all mandatory headers; `changes` adds, replaces or (None) drops some by name."""
    number = next(_numbers)
    via = f"SIP/2.0/{transport} {source[0]}:{source[1]};branch=z9hG4bKraw{number};rport"
    headers: dict[str, str | None] = {
        "Via": via,
        "Max-Forwards": "70",
        "From": f"<sip:0700123@{source[0]}>;tag=f{number}",
        "To": f"<sip:{user}@opentas>",
        "Call-ID": call_id or f"raw-{number}@{source[0]}",
        "CSeq": f"{cseq} {method}",
        "Contact": f"<sip:raw@{source[0]}:{source[1]}>",
    }
    if body:
        headers["Content-Type"] = "application/sdp"
    headers["Content-Length"] = str(len(body))
    headers |= changes or {}
    lines = [f"{method} sip:{user}@opentas {version}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


class UdpPeer:
    """One UDP socket that talks to one server."""

    def __init__(self, server: tuple[str, int], host: str = "127.0.0.2") -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self._server = server
        self.address: tuple[str, int] = self._socket.getsockname()

    def send(self, data: bytes) -> None:
        """Send one datagram."""
        self._socket.sendto(data, self._server)

    def receive(self, timeout_s: float = ANSWER_TIMEOUT_S) -> Answer | None:
        """The next response; None when none comes."""
        self._socket.settimeout(timeout_s)
        try:
            return parse_answer(self._socket.recv(65536))
        except TimeoutError:
            return None

    def final(self, data: bytes) -> Answer:
        """Send a request and return its final response; an INVITE's is acknowledged, so that it is not repeated."""
        self.send(data)
        while True:
            answer = self.receive()
            assert answer is not None, f"no answer to {data[:200]!r}"
            if answer.status >= 200:
                if data.startswith(b"INVITE "):
                    self.send(acknowledgement(data, answer))
                return answer

    def options_ms(self) -> float:
        """How long the server takes to answer an OPTIONS; responses to anything else are passed over."""
        call_id = f"alive-{next(_numbers)}@{self.address[0]}"
        began = time.monotonic()
        self.send(request("OPTIONS", source=self.address, call_id=call_id))
        while True:
            answer = self.receive()
            assert answer is not None, "OPTIONS is not answered"
            if answer.get("call-id") == call_id:
                assert answer.status == 200, answer
                return (time.monotonic() - began) * 1000

    def assert_prompt(self) -> None:
        """OPTIONS is answered within PROMPT_MS."""
        times = []
        for _ in range(PROMPT_TRIES):
            times.append(self.options_ms())
            if times[-1] <= PROMPT_MS:
                return
        raise AssertionError(f"OPTIONS answered after {times} ms")

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def acknowledgement(invite: bytes, answer: Answer) -> bytes:
    """The ACK to a final answer other than 2xx: the INVITE's own top Via, the To of the answer."""
    text = invite.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
    uri = text.split(" ", 2)[1]
    kept = [line for line in text.split("\r\n") if re.match("(Via|From|Call-ID|Max-Forwards):", line)]
    number = re.search(r"CSeq: (\d+)", text)
    assert number is not None
    lines = [f"ACK {uri} SIP/2.0", *kept, f"To: {answer['to']}", f"CSeq: {number[1]} ACK", "Content-Length: 0"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class TcpPeer:
    """One TCP connection to a server."""

    def __init__(self, server: tuple[str, int], host: str = "127.0.0.2") -> None:
        self._socket = socket.create_connection(server, timeout=ANSWER_TIMEOUT_S, source_address=(host, 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self.address: tuple[str, int] = self._socket.getsockname()

    def send(self, data: bytes) -> None:
        """Write; a connection that the server has closed is not this method's business."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def receive(self, timeout_s: float = ANSWER_TIMEOUT_S) -> Answer | None:
        """The next response (they have no body); None when the connection is closed or nothing comes."""
        self._socket.settimeout(timeout_s)
        while b"\r\n\r\n" not in self._buffer.lstrip(b"\r\n"):
            try:
                data = self._socket.recv(65536)
            except (TimeoutError, ConnectionResetError):
                return None
            if not data:
                return None
            self._buffer += data
        message, _, self._buffer = self._buffer.lstrip(b"\r\n").partition(b"\r\n\r\n")  # the answer to a ping
        return parse_answer(message)

    def is_closed(self) -> bool:
        """Whether the server has closed the connection."""
        self._socket.settimeout(0.05)
        try:
            return self._socket.recv(1) == b""
        except TimeoutError:
            return False
        except ConnectionResetError:
            return True

    def wait_closed(self, timeout_s: float) -> None:
        """Wait until the server closes the connection."""
        wait_for(self.is_closed, timeout_s=timeout_s, what="the connection closed by the server")

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def authorization(challenge: str, method: str, user: str, password: str, uri: str) -> str:
    """Digest credentials (RFC 7616, qop=auth) for a challenge."""
    values = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge))
    name = values.get("algorithm", "MD5")
    digest = hashlib.sha256 if name == "SHA-256" else hashlib.md5

    def hashed(text: str) -> str:
        return digest(text.encode()).hexdigest()

    secret = hashed(f"{user}:{values['realm']}:{password}")
    response = hashed(f"{secret}:{values['nonce']}:00000001:c0ffee:auth:{hashed(f'{method}:{uri}')}")
    return (
        f'Digest username="{user}", realm="{values["realm"]}", nonce="{values["nonce"]}", uri="{uri}", '
        f'algorithm={name}, qop=auth, nc=00000001, cnonce="c0ffee", response="{response}"'
    )
