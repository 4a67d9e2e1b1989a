"""CPU per RTP packet of a real media server beside the floor F, interleaved; losses, delay and pacing of the sound.

A packet is one in and one out. F is native/floor.c: a bare forwarder drained each millisecond, or for prompts a bare
sender. Engine and F run on core 0 with the same priority, native/generator.c on core 1; it numbers every packet and
counts what comes back. Each round measures everything once; ratios are medians over the rounds of figures that were
taken seconds apart.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from common.contracts.ids import CallUid, SessionId
from common.contracts.media import Codec, Empty, Play, Remote, ServerStatus, SessionCreate, SessionCreated
from loadtest.measure import threads_cpu_s
from tests.bench.media_peers import MediaProcess, Native, build

ENGINE_CORE, PEER_CORE = 0, 1
ROUNDS = 4
WARM_UP_S = 0.4
WINDOW_S = 1.8
TAIL_S = 0.2
"""Packets flow on for so long after the window."""
PACKETS_PER_S = 50
POINTS = 500
FEW_POINTS = 100
AIM_PROCESS = 1.5
"""Whole process to F, one codec."""
AIM_DELAY_P99_MS = 2.0
AIM_PACING_P99_MS = 1.0
PAYLOAD_TYPES = {Codec.PCMU: 0, Codec.PCMA: 8}

Result = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Case:
    """One thing to measure: what the connection points do, and the floor's counterpart."""

    name: str
    points: int
    codecs: tuple[Codec, Codec] | None
    """Of the two ends of each bridge; None: prompts are played."""
    aim: float | None = None
    """Greatest ratio of the process to F."""

    @property
    def floor(self) -> tuple[str, int]:
        """The floor program's work and size for this case."""
        return ("relay" if self.codecs else "send", self.points)


CASES = [
    Case("relay_500", POINTS, (Codec.PCMA, Codec.PCMA), AIM_PROCESS),
    Case("transcode_500", POINTS, (Codec.PCMA, Codec.PCMU)),
    Case("prompt_500", POINTS, None),
    Case("relay_100", FEW_POINTS, (Codec.PCMA, Codec.PCMA)),
]


@dataclass
class Sample:
    """One window: CPU-µs per packet of the process and of its busiest thread, and what the generator found."""

    process_us: float
    thread_us: float
    heard: dict[str, Any] = field(default_factory=dict)
    refused: int = 0


def cpu_us_per_packet(pid: int, points: int) -> Sample:
    """Measure a process while packets flow."""
    time.sleep(WARM_UP_S)
    before, start = threads_cpu_s(pid), time.perf_counter()
    time.sleep(WINDOW_S)
    after, seconds = threads_cpu_s(pid), time.perf_counter() - start
    used = [after[thread] - before.get(thread, 0.0) for thread in after]
    packets = points * PACKETS_PER_S * seconds
    return Sample(sum(used) / packets * 1e6, max(used) / packets * 1e6)


class Bench:
    """The programs, and one measurement after another."""

    def __init__(self, folder: Path) -> None:
        self._floor = build("floor", folder)
        self._generator = build("generator", folder)
        self._round = 0
        self.media = MediaProcess(folder, ENGINE_CORE)

    def _generate(self, points: int, codecs: tuple[Codec, Codec] | None) -> Native:
        seconds = WARM_UP_S + WINDOW_S + TAIL_S
        what = [PAYLOAD_TYPES[codec] for codec in codecs] if codecs else ["listen"]
        return Native(PEER_CORE, self._generator, points, seconds, *what)

    def floor(self, work: str, points: int) -> Sample:
        """The bare forwarder or sender."""
        generator = self._generate(points, (Codec.PCMA, Codec.PCMA) if work == "relay" else None)
        floor = Native(ENGINE_CORE, self._floor, points, work)
        floor.connect(generator.ports)
        generator.connect(floor.ports)
        sample = cpu_us_per_packet(floor.pid, points)
        sample.heard = generator.result(10)
        floor.terminate()
        floor.result(5)
        return sample

    def engine(self, case: Case) -> Sample:
        """The media server, sessions created, bridged and ended over its control link."""
        self._round += 1
        generator = self._generate(case.points, case.codecs)
        requests = list(self._requests(case, generator.ports))
        created = self.media.control.ask([("session.create", request) for request in requests])
        generator.connect([msgspec.json.decode(one, type=SessionCreated).port for one in created])
        sample = cpu_us_per_packet(self.media.pid, case.points)
        sample.heard = generator.result(10)
        counted = self.media.control.delete([request.session for request in requests])
        sample.refused = sum(one.packets_refused for one in counted)
        assert sum(one.packets_received for one in counted) == sample.heard["sent"], "packets lost before the engine"
        return sample

    def _requests(self, case: Case, ports: list[int]) -> list[SessionCreate]:
        requests = []
        names = [SessionId(f"bench-{self._round}-{point}") for point in range(case.points)]
        for point, port in enumerate(ports):
            codec = case.codecs[point % 2] if case.codecs else Codec.PCMA
            requests.append(
                SessionCreate(
                    names[point],
                    CallUid(f"bench-{self._round}-{point // 2}"),
                    remote=Remote("127.0.0.1", port, codec, PAYLOAD_TYPES[codec]),
                    play=None if case.codecs else Play(1, ["music"], loop_from=0),
                    bridge=names[point - 1] if case.codecs and point % 2 else None,
                )
            )
        return requests

    def overruns(self) -> int:
        """Ticks of the engine that began more than 1 ms late."""
        (result,) = self.media.control.ask([("server.get_status", Empty())])
        return msgspec.json.decode(result, type=ServerStatus).overruns


def entry(
    value: float, unit: str, *, floor: float | None = None, ratio: float | None = None, aim: float | None = None
) -> dict[str, Any]:
    """One row of var/bench.json; with a ratio the aim is judged by it."""
    ok = aim is None or value <= aim if ratio is None else aim is None or ratio * (floor or 1.0) <= aim
    return {"value": value, "unit": unit, "floor": floor, "ratio": ratio, "aim": aim, "ok": ok}


def cost_rows(case: Case, samples: list[Sample], floors: list[Sample]) -> Result:
    """CPU of the process and of its shard thread beside F."""
    rows = {}
    for name, values, aim in (
        ("process", [sample.process_us for sample in samples], case.aim),
        ("thread", [sample.thread_us for sample in samples], None),
    ):
        ratios = [value / floor.process_us for value, floor in zip(values, floors, strict=True)]
        floor_us = median(floor.process_us for floor in floors)
        aim_us = None if aim is None else aim * floor_us
        row = entry(median(values), "CPU-us/packet", floor=floor_us, ratio=median(ratios), aim=aim_us)
        rows[f"media_{case.name}_{name}"] = row | {"ratio_spread": [min(ratios), max(ratios)]}
    return rows


def sound_rows(case: Case, samples: list[Sample]) -> Result:
    """What the generator found: faults over all rounds, and the median round's delay and pacing."""
    transcodes = case.codecs is not None and case.codecs[0] != case.codecs[1]
    faults = ["lost", "gaps", "other"] if transcodes else ["lost", "gaps", "other", "duplicate"]
    lost = sum(sample.heard[fault] for sample in samples for fault in faults) + sum(one.refused for one in samples)
    rows = {f"media_{case.name}_lost": entry(lost, "packets", aim=0)}
    if transcodes:  # a frame that came too late is heard as the one before it, once more
        concealed = sum(sample.heard["duplicate"] for sample in samples)
        rows[f"media_{case.name}_concealed"] = entry(concealed, "packets")
    if case.codecs is not None:
        p50, p99, most = (median(sample.heard["delay_us"][i] for sample in samples) / 1000 for i in range(3))
        rows[f"media_{case.name}_delay_p50"] = entry(p50, "ms")
        aim = None if transcodes else AIM_DELAY_P99_MS  # the jitter buffer's two frames are no fault
        rows[f"media_{case.name}_delay_p99"] = entry(p99, "ms", aim=aim)
        rows[f"media_{case.name}_delay_max"] = entry(most, "ms")
    _, p99, most = (median(sample.heard["interval_us"][i] for sample in samples) / 1000 for i in range(3))
    rows[f"media_{case.name}_jitter_p99"] = entry(p99, "ms", aim=None if case.codecs else AIM_PACING_P99_MS)
    rows[f"media_{case.name}_jitter_max"] = entry(most, "ms")
    return rows


def rounds(bench: Bench) -> tuple[dict[str, list[Sample]], dict[tuple[str, int], list[Sample]]]:
    """All samples of the engine by case and of the floor by its work."""
    engine: dict[str, list[Sample]] = {case.name: [] for case in CASES}
    floor: dict[tuple[str, int], list[Sample]] = {case.floor: [] for case in CASES}
    for number in range(ROUNDS):
        measured: set[tuple[str, int]] = set()
        for case in CASES:
            if case.floor not in measured:
                measured.add(case.floor)
                floor[case.floor].append(bench.floor(*case.floor))
            engine[case.name].append(bench.engine(case))
        texts = [f"{case.name} {engine[case.name][-1].process_us:.2f}" for case in CASES]
        texts += [f"F {work} {points} {samples[-1].process_us:.2f}" for (work, points), samples in floor.items()]
        print(f"  round {number + 1}, CPU-us/packet: {', '.join(texts)}", file=sys.stderr, flush=True)
    return engine, floor


def run() -> Result:
    """All figures of this file."""
    affinity = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory(prefix="opentas-bench-") as name:
        bench = Bench(Path(name))
        os.sched_setaffinity(0, {PEER_CORE})
        try:
            overruns = bench.overruns()
            engine, floor = rounds(bench)
            overruns = bench.overruns() - overruns
        finally:
            os.sched_setaffinity(0, affinity)
            bench.media.stop()
    result: Result = {}
    for case in CASES:
        result |= cost_rows(case, engine[case.name], floor[case.floor])
        result |= sound_rows(case, engine[case.name])
    pacing = [sample.heard["pacing_us"] for samples in engine.values() for sample in samples]
    result["media_generator_jitter_p99"] = entry(median(one[1] for one in pacing) / 1000, "ms")
    result["media_floor_lost"] = entry(sum(one.heard["lost"] for rows in floor.values() for one in rows), "packets")
    result["media_overruns"] = entry(overruns, "ticks")
    return result


if __name__ == "__main__":
    for key, row in run().items():
        verdict = "ok" if row["ok"] else "MISSED"
        ratio = "-" if row["ratio"] is None else f"{row['ratio']:.2f}"
        print(f"{key:32} {row['value']:10.3f} {row['unit']:14} ratio {ratio:6} aim {row['aim']}  {verdict}")
