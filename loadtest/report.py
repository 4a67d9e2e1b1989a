"""What a load run found: figures, a verdict, its text for people and its JSON for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

import msgspec

from loadtest.measure import percentile
from loadtest.profile import Profile
from loadtest.sipp import Counts

PERCENTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}

NOT_ANSWERED: Final = " (if none was free: more AGENTS, a lower RATE, or less wrapuptime in queues.toml)"


class Usage(msgspec.Struct, frozen=True):
    """CPU seconds and resident memory (MiB) of every process at one moment (seconds of a monotonic clock)."""

    at: float
    cpu_s: dict[str, float]
    rss_mib: dict[str, float]


class Report(msgspec.Struct, frozen=True):
    """One run."""

    ok: bool
    faults: list[str]
    """Why it is not ok, a sentence each."""
    profile: dict[str, Any]
    seconds: float
    calls: dict[str, int]
    """created, successful, failed."""
    setup_ms: dict[str, float]
    """INVITE to 200 as the callers see it."""
    cpu_ms_per_call: dict[str, float]
    """By role, less what the processes use when idle."""
    idle_cpu_ms_per_s: dict[str, float]
    rss_mib: dict[str, tuple[float, float]]
    """By process: before, after."""
    cdrs: int
    outcomes: dict[str, int]
    """CDRs by `result, reason`."""
    left: list[str]


def make_report(
    profile: Profile,
    *,
    counts: Counts,
    setup_ms: list[float],
    idle: Usage,
    before: Usage,
    after: Usage,
    cdrs: list[dict[str, Any]],
    left: list[str],
) -> Report:
    """Put a run's figures together and judge them. Nothing was asked of the lab from `idle` to `before`."""
    idle_cpu = {role: seconds / (before.at - idle.at) for role, seconds in cpu_by_role(idle, before).items()}
    outcomes = Counter(f"{cdr['result']}, {cdr['reason']}" for cdr in cdrs)
    answered = sum(cdr["result"] == "answered" for cdr in cdrs)
    faults = find_faults(profile.calls, counts, len(cdrs), answered, left)
    return Report(
        ok=not faults,
        faults=faults,
        profile=asdict(profile),
        seconds=round(after.at - before.at, 1),
        calls=asdict(counts),
        setup_ms={name: percentile(setup_ms, share) for name, share in PERCENTILES.items()} if setup_ms else {},
        cpu_ms_per_call=cpu_ms_per_call(idle_cpu, before, after, max(counts.created, 1)),
        idle_cpu_ms_per_s={role: round(share * 1000, 2) for role, share in idle_cpu.items()},
        rss_mib={
            name: (before.rss_mib[name], value) for name, value in after.rss_mib.items() if name in before.rss_mib
        },
        cdrs=len(cdrs),
        outcomes=dict(outcomes.most_common()),
        left=left,
    )


def find_faults(wanted: int, counts: Counts, cdrs: int, answered: int, left: list[str]) -> list[str]:
    """Everything that is not as it must be."""
    faults = []
    if counts.created != wanted:
        faults.append(f"{counts.created} of {wanted} calls were begun")
    if counts.successful != wanted:
        faults.append(f"{counts.successful} of {wanted} calls succeeded, {counts.failed} failed")
    if cdrs != wanted:
        faults.append(f"{cdrs} CDRs of {wanted} calls")
    if answered != cdrs:
        faults.append(f"{cdrs - answered} of {cdrs} calls were not answered by an agent{NOT_ANSWERED}")
    if left:
        faults.append(f"left afterwards: {'; '.join(left)}")
    return faults


def cpu_by_role(before: Usage, after: Usage) -> dict[str, float]:
    """Seconds by role (a name without its number); a process that was started again counts from its start."""
    used: dict[str, float] = {}
    for name, seconds in after.cpu_s.items():
        earlier = before.cpu_s.get(name, 0.0)
        role = name.partition("-")[0]
        used[role] = used.get(role, 0.0) + (seconds - earlier if seconds >= earlier else seconds)
    return used


def cpu_ms_per_call(idle_cpu: dict[str, float], before: Usage, after: Usage, calls: int) -> dict[str, float]:
    """By role; `idle_cpu` is the share of a core that the role uses anyway."""
    wall_s = after.at - before.at
    used = cpu_by_role(before, after)
    net = {role: max(0.0, seconds - idle_cpu.get(role, 0.0) * wall_s) for role, seconds in used.items()}
    return {role: round(seconds * 1000 / calls, 3) for role, seconds in net.items()}


def render(report: Report) -> str:
    """The report for people; its last line is the verdict."""
    calls = report.calls
    lines = [
        ("load", _load_text(report.profile, report.seconds)),
        ("calls", f"{calls['created']} created, {calls['successful']} succeeded, {calls['failed']} failed"),
        ("INVITE to 200", _join((f"{name} {value:.0f} ms" for name, value in report.setup_ms.items()), "no call")),
        ("CPU per call", _join(_cpu_parts(report.cpu_ms_per_call), "-")),
        ("CPU idle", _join((f"{role} {ms:.1f} ms/s" for role, ms in report.idle_cpu_ms_per_s.items()), "-")),
        ("memory", _join(_memory_parts(report.rss_mib), "-")),
        ("CDRs", f"{report.cdrs}: " + _join((f"{count} {name}" for name, count in report.outcomes.items()), "none")),
        ("left", _join(report.left, "nothing")),
        ("verdict", "OK" if report.ok else "FAILED: " + "; ".join(report.faults)),
    ]
    return "\n".join(f"{name:14} {text}" for name, text in lines)


def _load_text(profile: dict[str, Any], seconds: float) -> str:
    what = f"{profile['calls']} calls at {profile['rate']:g}/s to {profile['number']}"
    return f"{what}, {profile['agents']} agents, held {profile['hold_s']:g} s; took {seconds:g} s"


def _join(parts: Iterable[str], otherwise: str) -> str:
    return ", ".join(parts) or otherwise


def _cpu_parts(cpu: dict[str, float]) -> list[str]:
    return [f"{role} {value:.2f} ms" for role, value in cpu.items()] + [f"together {sum(cpu.values()):.2f} ms"]


def _memory_parts(memory: dict[str, tuple[float, float]]) -> list[str]:
    return [f"{name} {before:.0f} → {after:.0f} MiB" for name, (before, after) in memory.items()]
