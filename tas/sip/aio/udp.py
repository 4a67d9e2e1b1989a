"""The UDP door. uvloop reads up to 32 datagrams per wake, which measured no dearer than an own recvfrom loop."""

from __future__ import annotations

import asyncio
import socket
from typing import Final, Protocol, cast

from tas.sip.flow import Address, Flow
from tas.sip.parser import SipParseError, parse_message

MAX_FLOWS: Final = 16_384
"""UDP peers remembered between datagrams: every phone of a node; a flow of UDP holds nothing, so all are dropped."""
RECEIVE_BUFFER_BYTES: Final = 4 * 2**20
"""Kernel buffer: about a second of SIP at 1,000 calls/s; the kernel may grant less."""
SHORTEST_MESSAGE: Final = 16
"""Bytes; anything shorter is a keepalive (CRLF, NULs) or noise."""


class Receiver(Protocol):
    """Whom the doors hand messages to: the endpoint."""

    def received(self, message: object, flow: Flow) -> None:
        """A message, or the SipParseError of one."""


class UdpDoor(asyncio.DatagramProtocol):
    """One bound UDP socket."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver: Receiver | None = receiver
        self._transport: asyncio.DatagramTransport | None = None
        self._flows: dict[Address, Flow] = {}
        self.local: Address = ("", 0)
        self.errors = 0
        """Sends the kernel refused: unreachable peers, a full socket buffer."""

    async def open(self, address: Address) -> None:
        """Bind; raises OSError."""
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            sock.bind(address)
            await loop.create_datagram_endpoint(lambda: self, sock=sock)
        except OSError:
            sock.close()
            raise
        self.local = sock.getsockname()[:2]

    def close(self) -> None:
        """Unbind."""
        self._receiver = None
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def send(self, flow: Flow, data: bytes) -> None:
        """Send one datagram; lost when the kernel has no room, like any datagram."""
        if self._transport is not None:
            try:
                self._transport.sendto(data, flow.remote)
            except (OSError, ValueError):  # unreachable, or an address of the other family
                self.errors += 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio."""
        self._transport = cast(asyncio.DatagramTransport, transport)  # by shape, not by class

    def datagram_received(self, data: bytes, addr: tuple[str, int] | tuple[str, int, int, int]) -> None:
        """asyncio."""
        if len(data) < SHORTEST_MESSAGE or self._receiver is None:
            return
        remote = addr[:2]
        flow = self._flows.get(remote)
        if flow is None:
            if len(self._flows) >= MAX_FLOWS:
                self._flows.clear()
            flow = self._flows[remote] = Flow("udp", remote, self.local)
        try:
            message: object = parse_message(data)
        except SipParseError as error:
            message = error
        self._receiver.received(message, flow)

    def error_received(self, exc: Exception) -> None:
        """asyncio: an ICMP error; whoever waits for an answer has its timer."""
        self.errors += 1
