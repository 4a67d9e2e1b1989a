"""The native media engine as Python sees it. Only mediaserver/engine/__init__.py imports it.

Commands are staged in a ring and become visible to the shard thread at `flush()`, all of them in one tick of 1 ms.
A handle carries a generation: a command for a removed connection point is ignored and counted.
"""

from collections.abc import Sequence

PCMU: int
PCMA: int

EVENT_FIRST_PACKET: int
"""a = IPv4 address as an integer in host order, b = port"""
EVENT_DIGIT: int
"""a = ASCII code of the digit, b = duration in ms"""
EVENT_PLAY_FINISHED: int
"""a = play_id, b = 0 at the end of the list, 1 when a digit interrupted it"""
EVENT_RTP_TIMEOUT: int
"""a = silent ms"""

def encode(codec: int, pcm: bytes) -> bytes:
    """S16LE samples to G.711, a byte a sample."""

def decode(codec: int, coded: bytes) -> bytes:
    """G.711 to S16LE samples."""

class EngineBusy(Exception):
    """The command ring is full, or every connection point of the shard is taken; nothing was staged."""

class Engine:
    def __init__(self, *, shards: int = 1, capacity: int = 500, realtime_priority: int = 10) -> None:
        """Preallocate `capacity` connection points per shard; `realtime_priority` 0 does not ask for SCHED_FIFO."""
    realtime: bool
    """SCHED_FIFO was granted (known after start)."""
    event_fd: int
    """Readable when events wait (for loop.add_reader)."""
    def start(self) -> None: ...
    def stop(self) -> None:
        """End and join the shard threads, close all sockets."""
    def load_prompt(self, pcm: bytes) -> int:
        """Encode S16LE mono 8 kHz once for every codec; the handle lives until stop()."""
    def room(self, shard: int = 0) -> int:
        """Commands that can be staged for a shard now; it only grows until the next one is staged."""
    def add(self, fd: int, shard: int = 0) -> int:
        """Stage a new connection point on a bound non-blocking UDP socket; the engine owns (and closes) `fd`."""
    def set_remote(
        self,
        cp: int,
        address: str,
        port: int,
        codec: int,
        payload_type: int,
        ptime_ms: int,
        dtmf_payload_type: int,
        send: bool,
        receive: bool,
        learn: bool,
        rtp_timeout_ms: int,
    ) -> None:
        """`dtmf_payload_type` -1: none. `rtp_timeout_ms` 0: never."""
    def bridge(self, a: int, b: int) -> None:
        """Both must be on one shard; each leaves any bridge, echo or play it was in."""
    def unbridge(self, cp: int) -> None: ...
    def echo(self, cp: int, on: bool) -> None: ...
    def play(
        self, cp: int, play_id: int, prompts: Sequence[int], loop_from: int = -1, interrupt_on_digit: bool = False
    ) -> None: ...
    def stop_play(self, cp: int) -> None: ...
    def send_digits(self, cp: int, digits: bytes, duration_ms: int, gap_ms: int) -> None: ...
    def remove(self, cp: int) -> None:
        """Close the socket and free the connection point; its last statistics stay readable until it is taken again."""
    def flush(self) -> None:
        """Make all staged commands visible to the shards."""
    def read_events(self, limit: int = 256) -> list[tuple[int, int, int, int]]:
        """Up to `limit` events as (kind, cp, a, b); clears event_fd when none is left."""
    def statistics(self, cp: int) -> tuple[int, int, int, int, int, float, int, int, int]:
        """(received, sent, lost, late, refused, jitter_ms, concealed_ms, remote IPv4 as int, remote port)."""
    def engine_statistics(self) -> dict[str, float]:
        """ticks, overruns, packets_in, packets_out, cpu_s, stale_commands, events_lost, active, per whole engine."""
