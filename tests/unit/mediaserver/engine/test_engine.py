"""mediaserver/engine: the real engine, its thread and its sockets."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from mediaserver.engine import (
    EVENT_DIGIT,
    EVENT_FIRST_PACKET,
    EVENT_PLAY_FINISHED,
    EVENT_RTP_TIMEOUT,
    PCMA,
    PCMU,
    Engine,
    EngineBusy,
    decode,
    encode,
)
from tests.unit.mediaserver.engine.peers import DTMF, Peer, next_events, running, udp_socket, until

LOOPBACK = 0x7F000001


class World:
    """An engine and the peers of one test."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.peers: list[Peer] = []

    def peer(self, host: str = "127.0.0.1") -> Peer:
        self.peers.append(Peer(self.engine, host))
        return self.peers[-1]

    def bridged(self, a: int, b: int) -> tuple[Peer, Peer]:
        one, other = self.peer(), self.peer()
        one.set_remote(a)
        other.set_remote(b)
        self.engine.bridge(one.cp, other.cp)
        self.engine.flush()
        until(lambda: self.engine.engine_statistics()["active"] == 2, "points added")
        return one, other


@pytest.fixture
def world() -> Iterator[World]:
    with running() as engine:
        world = World(engine)
        yield world
        for peer in world.peers:
            engine.remove(peer.cp)
            peer.close()
        engine.flush()


def test_same_codec_is_relayed_with_the_payload_untouched(world: World) -> None:
    a, b = world.bridged(PCMA, PCMA)
    sent = [bytes((n * i) & 0xFF for i in range(160)) for n in range(20)]
    heard = []
    for payload in sent:
        a.talk(payload)
        heard.append(b.must_hear())
    assert [packet.payload for packet in heard] == sent
    assert [packet.sequence - heard[0].sequence & 0xFFFF for packet in heard] == list(range(20))
    assert [packet.timestamp - heard[0].timestamp & 0xFFFFFFFF for packet in heard] == list(range(0, 3200, 160))
    assert [packet.marker for packet in heard] == [True] + 19 * [False]
    assert len({packet.ssrc for packet in heard}) == 1
    assert heard[0].ssrc != 0xC0FFEE


@pytest.mark.parametrize(("source", "target"), [(PCMA, PCMU), (PCMU, PCMA)])
def test_unlike_codecs_are_transcoded_sample_by_sample(world: World, source: int, target: int) -> None:
    a, b = world.bridged(source, target)
    ramp = struct.pack("<160h", *range(-16000, 16000, 200))
    coded = encode(source, ramp)
    wanted = encode(target, decode(source, coded))
    for _ in range(3):
        a.talk(coded, 0 if source == PCMU else 8)
    payloads = []
    while wanted not in payloads and len(payloads) < 20:
        packet = b.must_hear()
        assert packet.payload_type == (0 if target == PCMU else 8)
        payloads.append(packet.payload)
    assert wanted in payloads


def test_prompt_is_heard_as_it_was_loaded_and_then_loops(world: World) -> None:
    first, second = (struct.pack("<160h", *(level + 8 * n for n in range(160))) for level in (1000, 9000))
    prompts = [world.engine.load_prompt(first), world.engine.load_prompt(second)]
    peer = world.peer()
    peer.set_remote(PCMU)
    world.engine.play(peer.cp, 7, prompts, 1)
    world.engine.flush()
    heard = [peer.must_hear() for _ in range(4)]
    assert [packet.payload for packet in heard] == [encode(PCMU, first)] + 3 * [encode(PCMU, second)]
    assert [packet.timestamp - heard[0].timestamp & 0xFFFFFFFF for packet in heard] == [0, 160, 320, 480]
    assert [packet.marker for packet in heard] == [True, False, False, False]


def test_prompt_that_ends_is_reported_with_its_id(world: World) -> None:
    peer = world.peer()
    peer.set_remote()
    world.engine.play(peer.cp, 4_000_000_000, [world.engine.load_prompt(bytes(640))])
    world.engine.flush()
    assert next_events(world.engine) == [(EVENT_PLAY_FINISHED, peer.cp, 4_000_000_000, 0)]


def test_digit_interrupts_a_prompt_and_is_reported_at_its_end(world: World) -> None:
    peer = world.peer()
    peer.set_remote()
    world.engine.play(peer.cp, 1, [world.engine.load_prompt(bytes(16000))], 0, True)
    world.engine.flush()
    peer.must_hear()
    peer.talk(struct.pack(">BBH", 11, 10, 160), DTMF, marker=True, timestamp=500)
    events = next_events(world.engine)
    events += next_events(world.engine) if len(events) < 2 else []
    assert events == [
        (EVENT_FIRST_PACKET, peer.cp, LOOPBACK, peer.phone.getsockname()[1]),
        (EVENT_PLAY_FINISHED, peer.cp, 1, 1),
    ]
    for _ in range(3):
        peer.talk(struct.pack(">BBH", 11, 0x8A, 800), DTMF, timestamp=500)
    assert next_events(world.engine) == [(EVENT_DIGIT, peer.cp, ord("#"), 100)]


def test_digits_are_sent_as_the_rfc_says(world: World) -> None:
    peer = world.peer()
    peer.set_remote()
    world.engine.send_digits(peer.cp, b"5D", 40, 20)
    world.engine.flush()
    heard = [peer.must_hear() for _ in range(8)]
    fields = [struct.unpack(">BBH", packet.payload) for packet in heard]
    for event, digit in ((5, slice(0, 4)), (15, slice(4, 8))):
        assert [field[0] for field in fields[digit]] == 4 * [event]
        assert [bool(field[1] & 0x80) for field in fields[digit]] == [False, True, True, True]
        assert [field[2] for field in fields[digit]] == [160, 320, 320, 320]
        assert [packet.marker for packet in heard[digit]] == [True, False, False, False]
        assert len({packet.timestamp for packet in heard[digit]}) == 1
    assert {packet.payload_type for packet in heard} == {DTMF}
    assert [packet.sequence - heard[0].sequence & 0xFFFF for packet in heard] == list(range(8))
    # four frames of the first digit and the pause of one lie between
    assert heard[4].timestamp - heard[0].timestamp & 0xFFFFFFFF == 5 * 160


def test_digits_of_a_caller_are_relayed_and_reported(world: World) -> None:
    a, b = world.bridged(PCMA, PCMA)
    a.talk(bytes(160))
    audio = b.must_hear()
    for duration, flags in ((160, 10), (320, 0x8A), (320, 0x8A), (320, 0x8A)):
        a.talk(struct.pack(">BBH", 9, flags, duration), DTMF, marker=duration == 160, timestamp=160)
    events = [b.must_hear() for _ in range(4)]
    assert [packet.payload_type for packet in events] == 4 * [DTMF]
    assert [packet.sequence - audio.sequence & 0xFFFF for packet in events] == [1, 2, 3, 4]
    assert [packet.timestamp - audio.timestamp & 0xFFFFFFFF for packet in events] == 4 * [160]
    found = next_events(world.engine) + next_events(world.engine, 0.1)
    assert (EVENT_DIGIT, a.cp, ord("9"), 40) in found


def test_stranger_is_refused_where_learning_is_closed(world: World) -> None:
    a, b = world.bridged(PCMA, PCMA)
    stranger = Peer(world.engine)
    world.peers.append(stranger)
    stranger.address = a.address
    world.engine.flush()
    for _ in range(10):
        stranger.talk(bytes(160))
    until(lambda: world.engine.statistics(a.cp)[4] == 10, "ten packets refused")
    a.talk(b"\x11" * 160)
    assert b.must_hear().payload == b"\x11" * 160
    assert b.hear(0.03) is None


def test_real_source_is_learned_from_four_packets_and_then_alone_believed(world: World) -> None:
    a, b = world.bridged(PCMA, PCMA)
    a.set_remote(PCMA, address=("127.0.0.3", 40000), learn=True)
    world.engine.flush()
    until(lambda: world.engine.statistics(a.cp)[8] == 40000, "signalled address in use")
    for _ in range(4):
        a.talk(b"\x11" * 160)
    assert next_events(world.engine) == [(EVENT_FIRST_PACKET, a.cp, LOOPBACK, a.phone.getsockname()[1])]
    assert b.must_hear().payload == b"\x11" * 160
    b.talk(b"\x22" * 160)
    assert a.must_hear().payload == b"\x22" * 160, "what goes out follows the learned source"
    stranger = Peer(world.engine, "127.0.0.3")
    world.peers.append(stranger)
    stranger.address = a.address
    for _ in range(8):
        stranger.talk(b"\x33" * 160)
    assert b.hear(0.03) is None


def test_silence_is_reported(world: World) -> None:
    peer = world.peer()
    peer.set_remote(timeout_ms=50)
    world.engine.flush()
    events = next_events(world.engine)
    assert [event[:2] for event in events] == [(EVENT_RTP_TIMEOUT, peer.cp)]
    assert 50 <= events[0][2] < 1000
    assert next_events(world.engine, 0.1) == []


def test_echo_sends_back_and_statistics_count_it(world: World) -> None:
    peer = world.peer()
    peer.set_remote()
    world.engine.echo(peer.cp, True)
    world.engine.flush()
    for n in range(10):
        if n == 5:
            peer.sequence += 2
        peer.talk(bytes([n]) * 160)
        assert peer.must_hear().payload == bytes([n]) * 160
    peer.talk(b"x", 55)
    until(lambda: world.engine.statistics(peer.cp)[:5:4] == (10, 1), "ten received and one refused, shown each 20 ms")
    received, sent, lost, late, refused, jitter_ms, concealed_ms, address, port = world.engine.statistics(peer.cp)
    assert (received, sent, lost, late, refused, concealed_ms) == (10, 10, 2, 0, 1, 0)
    assert 0 <= jitter_ms < 20
    assert (address, port) == (LOOPBACK, peer.phone.getsockname()[1])
    totals = world.engine.engine_statistics()
    assert (totals["packets_in"], totals["packets_out"], totals["active"]) == (11, 10, 1)


def test_engine_takes_its_capacity_and_no_more() -> None:
    with running(capacity=3) as engine:
        peers = [Peer(engine) for _ in range(3)]
        extra = udp_socket()
        with pytest.raises(EngineBusy, match="taken"):
            engine.add(extra.fileno())
        extra.getsockname()  # still ours, and open
        engine.remove(peers[1].cp)
        again = engine.add(extra.detach())
        assert again not in [peer.cp for peer in peers]
        for cp in (peers[0].cp, peers[2].cp, again):
            engine.remove(cp)
        for peer in peers:
            peer.close()
        engine.flush()


def test_full_command_ring_is_busy_and_takes_nothing() -> None:
    engine = Engine(capacity=2, realtime_priority=0)  # never started: nobody empties the ring
    point = udp_socket()
    cp = engine.add(point.detach())
    assert engine.room() == 4095
    for _ in range(engine.room()):
        engine.unbridge(cp)
    assert engine.room() == 0
    with pytest.raises(EngineBusy, match="ring"):
        engine.unbridge(cp)
    with pytest.raises(EngineBusy, match="ring"):
        engine.remove(cp)
    second = udp_socket()
    with pytest.raises(EngineBusy, match="ring"):
        engine.add(second.fileno())
    second.close()
    engine.stop()


def test_removed_handle_is_unknown_and_its_next_owner_another(world: World) -> None:
    peer = world.peer()
    peer.set_remote()
    world.engine.flush()
    old = peer.cp
    world.engine.remove(old)
    for call in (world.engine.remove, world.engine.unbridge, world.engine.stop_play):
        with pytest.raises(ValueError, match="no such connection point"):
            call(old)
    replacement = udp_socket()
    peer.cp = world.engine.add(replacement.detach())
    assert peer.cp != old
    assert peer.cp & 0xFFFF == old & 0xFFFF, "the same place"
    assert world.engine.statistics(old) == (0, 0, 0, 0, 0, 0.0, 0, 0, 0)
    with pytest.raises(ValueError, match="no such"):
        world.engine.echo(old, True)


def test_bad_arguments_are_refused(world: World) -> None:
    engine, cp = world.engine, world.peer().cp
    remote = ("127.0.0.1", 4000, PCMA, 8, 20, 101, True, True, False, 0)
    for place, bad in ((1, 0), (1, 65536), (2, 2), (2, -1), (3, 128), (4, 0), (4, 61), (5, 128), (5, -2)):
        with pytest.raises(ValueError, match="out of range"):
            engine.set_remote(cp, *remote[:place], bad, *remote[place + 1 :])
    with pytest.raises(OSError, match="illegal IP"):
        engine.set_remote(cp, "nowhere", *remote[1:])
    with pytest.raises(ValueError, match="no prompt"):
        engine.play(cp, 1, [0])
    prompt = engine.load_prompt(b"")
    for files, loop_from in (([], -1), ([prompt] * 17, -1), ([prompt], 1), ([prompt], -2)):
        with pytest.raises(ValueError, match="list has 1 to 16"):
            engine.play(cp, 1, files, loop_from)
    for digits, duration, gap in ((b"", 100, 60), (b"1" * 65, 100, 60), (b"1", 39, 60), (b"1", 100, 19)):
        with pytest.raises(ValueError, match="64 digits"):
            engine.send_digits(cp, digits, duration, gap)
    with pytest.raises(ValueError, match="a digit is one of"):
        engine.send_digits(cp, b"12E", 100, 60)
    with pytest.raises(ValueError, match="whole samples"):
        engine.load_prompt(b"\0")
    with pytest.raises(ValueError, match="shards"):
        Engine(shards=2).bridge(cp, cp | 1 << 16)


@pytest.mark.parametrize("bad", [{"shards": 0}, {"shards": 65}, {"capacity": 0}, {"realtime_priority": 100}])
def test_engine_of_impossible_size_is_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Engine(**bad)
