"""CPU time and memory of processes, from the kernel's own accounting; and percentiles of what was measured."""

from __future__ import annotations

from pathlib import Path


def threads_cpu_s(pid: int) -> dict[int, float]:
    """CPU seconds of each living thread of a process (/proc/PID/task/*/schedstat, nanoseconds)."""
    files = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return {int(path.parent.name): int(path.read_text().split()[0]) / 1e9 for path in files}


def cpu_s(pid: int) -> float:
    """CPU seconds a process and all its living threads have used."""
    return sum(threads_cpu_s(pid).values())


def rss_kb(pid: int) -> int:
    """Resident memory of a process, kB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def percentile(values: list[float], share: float) -> float:
    """The value that `share` (0..1) of the sorted values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
