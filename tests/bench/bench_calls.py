"""CPU per complete two-leg call and set-up times at 50 and 200 calls/s; queue latency with timed peers.

The lab runs on core 0 with real processes, SIPp and the peers on core 1. A complete call is INVITE to the 200 of BYE on
both legs with media control, CDR and metrics; the CPU is that of TAS, media server and broker together, less what the
same processes use idle in the same run. Its floor is a bare loop that answers as many datagrams (echo_floor.py); that
of set-up times is the phone's own 20 ms of ringing.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loadtest.aio.lab import free_port
from loadtest.measure import cpu_s, percentile, rss_kb
from loadtest.sipp import read_response_times_ms
from tests.bench.echo_floor import call_floor_ms
from tests.bench.sip_peers import Agents, Callers
from tests.system.support import sipp
from tests.system.support.lab import Lab, copy_configs, wait_for

SERVER_CORE = ["taskset", "-c", "0"]
PEER_CORE = ["taskset", "-c", "1"]
RATES = {50: 1000, 200: 3000}
"""Calls/s -> calls."""
IDLE_S = 5.0
HOLD_MS = 500
PHONE_RING_MS = 20
ASTERISK_CPU_MS = 4.3
"""Measured elsewhere on such a machine at 50 calls/s; sippy 5.2, FreeSWITCH 13.7."""
AIM_CPU_MS = 1.5
AIM_INVITE_TO_AGENT_MS = 30.0
AIM_READY_TO_AGENT_MS = 100.0
QUEUE_RATE = 20
QUEUE_CALLS = 400
READY_TRIALS = 20
"""One for each agent: whoever has had a call is Ready by itself."""
WAIT_S = 30.0
"""Callers wait so long; the trials take a tenth of it."""

Result = dict[str, dict[str, Any]]


def entry(value: float, unit: str, *, floor: float | None = None, aim: float | None = None) -> dict[str, Any]:
    """One row of var/bench.json."""
    ratio = value / floor if floor else None
    return {"value": value, "unit": unit, "floor": floor, "ratio": ratio, "aim": aim, "ok": aim is None or value <= aim}


def pids(lab: Lab) -> dict[str, int]:
    """Process name -> pid, without the bus."""
    return {name: pid for name, pid in lab.pids.items() if name != "bus"}


def usage(lab: Lab) -> dict[str, float]:
    """CPU seconds so far by role."""
    total = {"tas": 0.0, "media": 0.0, "broker": 0.0}
    for name, pid in pids(lab).items():
        total[name.split("-")[0]] += cpu_s(pid)
    return total


def bench_rate(lab: Lab, folder: Path, rate: int, calls: int, idle: dict[str, float]) -> Result:
    """Direct calls from the trunk to one SIPp phone."""
    before, start = usage(lab), time.monotonic()
    caller = sipp.Sipp(folder, "uac_call.xml", lab.sip(1), host="127.0.0.2", number="1001", calls=calls, rate=rate)
    caller.extra = ["-d", str(HOLD_MS), "-trace_rtt", "-rtt_freq", "1"]
    caller.prefix = PEER_CORE
    counts = caller.run()
    seconds = time.monotonic() - start
    after = usage(lab)
    assert counts.failed == 0, caller.errors()
    assert counts.successful == calls, counts
    ms = {role: (after[role] - before[role] - idle[role] * seconds) / calls * 1000 for role in before}
    raw = sum(after.values()) - sum(before.values())
    times = read_response_times_ms(folder)
    aim = AIM_CPU_MS if rate == 50 else None
    result = {
        f"call_cpu_{rate}": entry(sum(ms.values()), "CPU-ms/call", floor=call_floor_ms(rate, SERVER_CORE), aim=aim),
        f"call_cpu_{rate}_with_idle": entry(raw / calls * 1000, "CPU-ms/call"),
    }
    for role, value in ms.items():
        result[f"call_cpu_{rate}_{role}"] = entry(value, "CPU-ms/call")
    for name, value in (("p95", percentile(times, 0.95)), ("p99", percentile(times, 0.99)), ("max", max(times))):
        result[f"call_setup_{rate}_{name}"] = entry(value, "ms", floor=PHONE_RING_MS)
    return result


def direct_calls(lab: Lab, folder: Path) -> Result:
    """Both rates against one registered phone."""
    port = free_port()
    rows = ["1001;[authentication username=1001 password=lab-1001]"]
    phone = sipp.Sipp(folder / "register", "register.xml", lab.sip(1), port=port, rows=rows)
    assert phone.run().successful == 1, phone.errors()
    phone = sipp.Sipp(folder / "phone", "uas_agent.xml", port=port, calls=10_000_000, timeout_s=600, prefix=PEER_CORE)
    phone.start()
    try:
        idle_start = usage(lab)
        time.sleep(IDLE_S)
        idle = {role: (value - idle_start[role]) / IDLE_S for role, value in usage(lab).items()}
        result = {f"idle_cpu_{role}": entry(value * 1000, "CPU-ms/s") for role, value in idle.items()}
        for rate, calls in RATES.items():
            result |= bench_rate(lab, folder / f"callers-{rate}", rate, calls, idle)
            row = result[f"call_cpu_{rate}"]
            cost = f"{row['value']:.2f} CPU-ms/call, {row['ratio']:.1f} times a bare loop's"
            print(f"  {rate} calls/s: {cost}", file=sys.stderr, flush=True)
        result["tas_rss"] = entry(rss_kb(pids(lab)["tas-1"]) / 1024, "MiB")
        return result
    finally:
        phone.stop()


async def until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Poll a condition of the peers."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        await asyncio.sleep(0.005)


async def queue_latency(lab: Lab) -> Result:
    """Caller INVITE to agent INVITE with agents idle; Ready to agent INVITE with callers waiting."""
    agents = Agents("127.0.0.1", lab.sip(1))
    callers = Callers("127.0.0.2", lab.sip(1))
    await agents.start()
    await callers.start()
    numbers = [str(1001 + n) for n in range(20)]
    for number in numbers:
        agents.register(number, f"lab-{number}")
    await until(lambda: len(agents.registered) == len(numbers), 10, "agents registered")
    await asyncio.to_thread(lambda: [lab.wait_agent(number, "Ready") for number in numbers])
    for n in range(QUEUE_CALLS):
        callers.call("8000", f"0701{n:04}", hold_s=0.3)
        await asyncio.sleep(1 / QUEUE_RATE)
    await until(lambda: all(call.ended for call in callers.calls.values()), 30, "all queue calls over")
    invited = {caller: at for _, caller, at in agents.invited}
    latency = [(invited[caller] - call.invited) * 1000 for caller, call in callers.calls.items()]
    ready = await ready_latency(lab, agents, callers, numbers)
    await until(lambda: all(call.ended for call in callers.calls.values()), WAIT_S + 10, "all waiting calls over")
    agents.close()
    callers.close()
    result = {}
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)):
        aim = AIM_INVITE_TO_AGENT_MS if name == "p95" else None
        result[f"invite_to_agent_{name}"] = entry(percentile(latency, share), "ms", aim=aim)
        aim = AIM_READY_TO_AGENT_MS if name == "p95" else None
        result[f"ready_to_agent_{name}"] = entry(percentile(ready, share), "ms", aim=aim)
    return result


async def ready_latency(lab: Lab, agents: Agents, callers: Callers, numbers: list[str]) -> list[float]:
    """All agents NotReady, callers wait, one agent at a time is set Ready: ms from the request to its INVITE."""
    for number in numbers:
        await asyncio.to_thread(lab.wait_agent, number, "Ready")
        await asyncio.to_thread(lab.set_agent, number, "NotReady", "1")
    for n in range(READY_TRIALS):
        callers.call("8000", f"0702{n:04}", hold_s=WAIT_S)
    await until(lambda: all(call.answered for call in callers.calls.values()), 10, "callers wait in the queue")
    latency = []
    for n in range(READY_TRIALS):
        seen, start = len(agents.invited), time.perf_counter()
        await asyncio.to_thread(lab.set_agent, numbers[n], "Ready")
        await until(lambda seen=seen: len(agents.invited) > seen, 5, "the Ready agent's INVITE")  # type: ignore[misc]
        latency.append((agents.invited[seen][2] - start) * 1000)
        await asyncio.sleep(0.05)
    return latency


def run() -> Result:
    """All figures of this file, in one lab."""
    with tempfile.TemporaryDirectory(prefix="opentas-bench-") as name:
        folder = Path(name)
        changes = {"queues.toml": {"wrapuptime = 5": "wrapuptime = 0"}}
        lab = Lab(folder / "var", tas=1, media=2, configs=copy_configs(folder / "configs", changes))
        lab.start(prefix=SERVER_CORE)
        try:
            os.sched_setaffinity(0, {1})
            result = direct_calls(lab, folder)
            wait_for(lambda: lab.node(1)["calls"] == 0, timeout_s=40, what="calls over")
            return result | asyncio.run(queue_latency(lab))
        finally:
            os.sched_setaffinity(0, {0, 1})
            lab.stop()


if __name__ == "__main__":
    for key, row in run().items():
        print(f"{key:32} {row['value']:10.3f} {row['unit']:12} aim {row['aim']}  {'ok' if row['ok'] else 'MISSED'}")
