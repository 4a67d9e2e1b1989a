"""CPU of a node's door per SIP message received and answered, over TLS; the floor is the same over plain TCP.

A child process plays phones, each on a connection of its own, that send an INVITE of 1.9 kB when they have the answer
to the last. Framing and parsing are within the figure, nothing of what a call does is.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import ssl
import sys
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from time import process_time

import uvloop

from tas.sip.aio.tcp import TcpDoor
from tas.sip.connections import ConnectionLimits
from tas.sip.flow import Flow
from tas.sip.tls import Tls
from tasctl.lab.certificates import prepare_certificates
from tests.bench.bench_sip_parser import INVITE

PHONES = 50
MESSAGES = 100
ROUNDS = 4
AIM_US = 70.0
ANSWER = b"SIP/2.0 100 Trying\r\n" + INVITE.partition(b"\r\n")[2].partition(b"Allow:")[0] + b"Content-Length: 0\r\n\r\n"


class Answering:
    """The door's owner: answers everything, counts nothing else."""

    def __init__(self) -> None:
        self.door: TcpDoor | None = None
        self.lost = 0

    def received(self, message: object, flow: Flow) -> None:
        """A message."""
        assert self.door is not None
        self.door.send(flow, ANSWER)

    def connection_lost(self, flow: Flow) -> None:
        """A phone has gone."""
        self.lost += 1

    def connect_failed(self, flow: Flow) -> None:
        """Never: the phones connect."""


Phone = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _talk(phone: Phone, messages: int) -> None:
    reader, writer = phone
    for _ in range(messages):
        writer.write(INVITE)
        await reader.readuntil(b"\r\n\r\n")


def phones(address: tuple[str, int], ca: str, pipe: Connection) -> None:
    """The child: all phones connect and have one answer; at the parent's word they talk."""

    async def run() -> None:
        context = ssl.create_default_context(cafile=ca) if ca else None
        found = await asyncio.gather(*(asyncio.open_connection(*address, ssl=context) for _ in range(PHONES)))
        await asyncio.gather(*(_talk(phone, 1) for phone in found))
        pipe.send("up")
        await asyncio.to_thread(pipe.recv)
        await asyncio.gather(*(_talk(phone, MESSAGES) for phone in found))
        pipe.send("done")
        for _, writer in found:
            writer.close()

    asyncio.run(run())


async def _measure(tls: Tls | None, ca: str) -> float:
    owner = Answering()
    owner.door = door = TcpDoor(owner, limits=ConnectionLimits(PHONES), tls=tls)
    await door.open(("127.0.0.1", 0))
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(target=phones, args=(door.local, ca, there), daemon=True)
    child.start()
    try:
        await asyncio.to_thread(here.recv)
        start = process_time()
        here.send("go")
        await asyncio.to_thread(here.recv)
        used = process_time() - start
    finally:
        child.join(10)
        await door.close()
    return used / (PHONES * MESSAGES) * 1e6


def run() -> dict[str, dict[str, object]]:
    """Best of a few rounds, in CPU-microseconds per message with its answer."""
    with tempfile.TemporaryDirectory() as folder:
        files = prepare_certificates(Path(folder))
        tls = Tls(files.certificate, files.key, files.ca)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            plain = min(runner.run(_measure(None, "")) for _ in range(ROUNDS))
            secured = min(runner.run(_measure(tls, str(files.ca))) for _ in range(ROUNDS))
    return {
        "sip_tls_message": {
            "value": round(secured, 1),
            "unit": "CPU-us/message",
            "floor": round(plain, 1),
            "ratio": round(secured / plain, 2),
            "aim": AIM_US,
            "ok": secured <= AIM_US,
        }
    }


if __name__ == "__main__":
    print(run(), file=sys.stdout)
