"""The floor of a call's CPU: a bare uvloop process that answers as many datagrams, at the same pace, as a call brings.

What it costs is the kernel's and the loop's share of waking up for a message on this machine, now: most of it is caches
that went cold meanwhile, so it is several times dearer at 50 calls/s than at 2,000.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from typing import Final

import uvloop

from loadtest.measure import cpu_s

DATAGRAMS_PER_CALL: Final = 6
"""INVITE, ACK and BYE of the caller; 180, 200 and the 200 to BYE of the phone."""
SECONDS: Final = 8.0
WARM_UP_S: Final = 0.5
DATAGRAM: Final = bytes(600)


class _Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        print(transport.get_extra_info("sockname")[1], flush=True)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(data, addr)  # type: ignore[attr-defined]


async def _serve() -> None:
    await asyncio.get_running_loop().create_datagram_endpoint(_Echo, local_addr=("127.0.0.1", 0))
    await asyncio.sleep(60.0)


def _send(sock: socket.socket, target: tuple[str, int], rate: float, seconds: float) -> int:
    """Paced datagrams, answers thrown away; how many were sent."""
    begin, sent = time.monotonic(), 0
    while (now := time.monotonic() - begin) < seconds:
        if sent < now * rate:
            sock.sendto(DATAGRAM, target)
            sent += 1
        else:
            time.sleep(sent / rate - now)
        try:
            while True:
                sock.recv(2048)
        except BlockingIOError:
            continue
    return sent


def call_floor_ms(calls_per_second: int, prefix: list[str]) -> float:
    """CPU-ms per call; the echo runs behind `prefix` (taskset), the sender in this process."""
    command = [*prefix, sys.executable, "-m", "tests.bench.echo_floor"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as echo,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
    ):
        try:
            assert echo.stdout is not None
            target = ("127.0.0.1", int(echo.stdout.readline()))
            sock.setblocking(False)
            rate = calls_per_second * DATAGRAMS_PER_CALL
            _send(sock, target, rate, WARM_UP_S)
            before = cpu_s(echo.pid)
            sent = _send(sock, target, rate, SECONDS)
            return (cpu_s(echo.pid) - before) / sent * DATAGRAMS_PER_CALL * 1000
        finally:
            echo.kill()


if __name__ == "__main__":
    uvloop.run(_serve())
