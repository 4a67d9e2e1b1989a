"""The SIP endpoint of a node: sockets and the loop on one side, the sans-I/O layer on the other.

One wake: everything that has arrived goes into the layer, the user handles the events once, what is to be sent is
sent, and the one timer is armed for the layer's next deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from tas.sip.aio.tcp import TcpDoor
from tas.sip.aio.udp import UdpDoor
from tas.sip.connections import ConnectionLimits
from tas.sip.flow import Address, Flow
from tas.sip.layer import SipLayer
from tas.sip.message import Request, Response
from tas.sip.overload import PROBE_S, Overload
from tas.sip.parser import SipParseError
from tas.sip.tls import Tls

COALESCE_S: Final = 0.02
"""Deadlines are run so late at most, those of a moment in one wake: nearly all only forget what is over, and a
retransmission after 520 ms is as good as one after 500. (uvloop's clock moves in milliseconds: armed to the tick a
timer could fire just before its deadline and spin.)"""


class SipEndpoint:
    """Feeds one layer; `on_events(now)` is called once per wake that brought events."""

    def __init__(
        self,
        layer: SipLayer,
        on_events: Callable[[float], None],
        *,
        udp: Address | None = None,
        tcp: Address | None = None,
        secure: tuple[Address, Tls] | None = None,
        limits: ConnectionLimits | None = None,
    ) -> None:
        """`udp` and `tcp` are where to bind, by default where the layer says it can be reached; `secure`: for TLS."""
        self._layer = layer
        self._on_events = on_events
        settings = layer.settings
        self._bind_udp = udp or settings.udp
        self._bind_tcp = tcp or settings.tcp
        self.udp = UdpDoor(self)
        limits = limits or ConnectionLimits()
        self.tcp = TcpDoor(self, limits=limits)
        self._bind_tls = secure[0] if secure is not None else None
        self.tls = TcpDoor(self, limits=limits, tls=secure[1]) if secure is not None else None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._armed_at = 0.0
        self._probe: asyncio.TimerHandle | None = None
        self._probe_due = 0.0
        self._awake = False
        self.overload = Overload()
        self.received_count = 0
        self.sent_count = 0

    async def start(self) -> None:
        """Bind; raises OSError. A port 0 becomes the one the kernel chose, in the layer's Via and Contact too."""
        self._loop = asyncio.get_running_loop()
        if self._bind_udp is not None:
            await self.udp.open(self._bind_udp)
        if self._bind_tcp is not None:
            await self.tcp.open(self._bind_tcp)
        secured = 0
        if self.tls is not None and self._bind_tls is not None:
            await self.tls.open(self._bind_tls)
            secured = self.tls.local[1]
        self._layer.advertise_ports(self.udp.local[1], self.tcp.local[1], secured)
        self._probe_due = self._loop.time() + PROBE_S
        self._probe = self._loop.call_at(self._probe_due, self._look_at_lag)

    async def stop(self) -> None:
        """Send what is due, then close all."""
        if self._loop is not None:
            self._transmit()
        for handle in (self._timer, self._probe):
            if handle is not None:
                handle.cancel()
        self._timer = self._probe = None
        self.udp.close()
        await self.tcp.close()
        if self.tls is not None:
            await self.tls.close()
        self._loop = None

    def wake(self) -> None:
        """Have events and sends handled soon; call it after acting on the layer outside `on_events`."""
        if not self._awake and self._loop is not None:
            self._awake = True
            self._loop.call_soon(self._woken)

    # What the doors call.

    def received(self, message: object, flow: Flow) -> None:
        """A message, or the SipParseError of one."""
        if self._loop is None:
            return
        self.received_count += 1
        now = self._loop.time()
        if isinstance(message, (Request, Response)):
            self._layer.receive_message(message, flow, now)
        elif isinstance(message, SipParseError):
            self._layer.receive_error(message, flow, now)
        self.wake()

    def connection_lost(self, flow: Flow) -> None:
        """A connection is gone; also for requests that had asked for one to this peer."""
        if self._loop is not None:
            now = self._loop.time()
            self._layer.connection_lost(flow.connection, now)
            self.connect_failed(flow)

    def connect_failed(self, flow: Flow) -> None:
        """A connection could not be made."""
        if self._loop is not None:
            self._layer.send_failed(Flow(flow.transport, flow.remote, flow.local), self._loop.time())
            self.wake()

    # One wake.

    def _woken(self) -> None:
        self._awake = False
        self.run()

    def run(self) -> None:
        """Handle events and sends now: at the end of a turn that began outside of SIP."""
        loop = self._loop
        if loop is None:
            return
        try:
            if self._layer.has_events():
                self._on_events(loop.time())
        finally:
            self._transmit()
            self._arm(loop)

    def _transmit(self) -> None:
        for send in self._layer.take_sends():
            self.sent_count += 1
            if send.flow.transport == "udp":
                self.udp.send(send.flow, send.data)
            elif send.flow.transport == "tcp":
                self.tcp.send(send.flow, send.data)
            elif self.tls is not None:
                self.tls.send(send.flow, send.data)
            elif self._loop is not None:
                self._loop.call_soon(self.connect_failed, send.flow)  # the peer names TLS, and we have none

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        # Most deadlines are cancelled before they come, so a timer armed too early is left alone: it fires, finds
        # nothing to do and is armed anew.
        deadline = self._layer.next_timeout()
        if deadline is None or (self._timer is not None and self._armed_at <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_at = deadline
        self._timer = loop.call_at(deadline + COALESCE_S, self._timed_out)

    def _timed_out(self) -> None:
        self._timer = None
        if self._loop is not None:
            self._layer.handle_timeout(self._loop.time())
            self.run()

    def _look_at_lag(self) -> None:
        loop = self._loop
        if loop is None:
            return
        now = loop.time()
        self._layer.overloaded = self.overload.probe(now - self._probe_due)
        self._probe_due = now + PROBE_S
        self._probe = loop.call_at(self._probe_due, self._look_at_lag)
