"""Copies of all SIP messages to a Homer server, by UDP: nobody waits for it, and it may be away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from tas.sip.flow import Address
from tas.sip.hep import encode
from tas.sip.trace import Entry, blank_secrets


class HepExporter(asyncio.DatagramProtocol):
    """A tap; `local` gives the node's address on a transport, `wall` the Unix time of a moment of the loop's clock."""

    def __init__(
        self, *, node: str, capture_id: int, local: Callable[[str], Address], wall: Callable[[float], float]
    ) -> None:
        self._node = node
        self._capture_id = capture_id
        self._local = local
        self._wall = wall
        self._transport: asyncio.DatagramTransport | None = None
        self.sent = 0
        self.errors = 0
        """Copies the kernel refused: nobody listens there, or no room."""

    async def open(self, address: Address) -> None:
        """Start sending to `address`; raises OSError when its name is unknown."""
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, remote_addr=address)

    def close(self) -> None:
        """No more."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def tap(self, _call_id: bytes, entry: Entry) -> None:
        """See tas.sip.trace.Tap."""
        if self._transport is None:
            return
        at, sent, transport, peer, data, _ = entry
        ends = (self._local(transport), peer)
        source, destination = ends if sent else ends[::-1]
        try:
            packet = encode(
                self._wall(at), transport, source, destination, blank_secrets(data),
                capture_id=self._capture_id, node=self._node,
            )  # fmt: skip
            self._transport.sendto(packet)
        except (OSError, ValueError):  # ValueError: a peer whose address is a name
            self.errors += 1
            return
        self.sent += 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio."""
        self._transport = cast(asyncio.DatagramTransport, transport)  # by shape, not by class

    def error_received(self, exc: Exception) -> None:
        """asyncio: an ICMP error."""
        self.errors += 1
