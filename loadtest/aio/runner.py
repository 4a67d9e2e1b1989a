"""One load run: phones, callers, figures before and after; everything it starts it stops by pid."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from functools import reduce
from operator import add
from pathlib import Path
from typing import Final

from loadtest.agents import Phones, RegistrationError, share_phones
from loadtest.aio.lab import LabError, RunningLab, free_port, wait_for
from loadtest.measure import cpu_s, rss_kb
from loadtest.profile import Profile, share_out
from loadtest.report import Report, Usage, make_report
from loadtest.sipp import NONE, Counts, Sipp, SippError, read_response_times_ms

CALLER_HOST: Final = "127.0.0.2"
"""Whatever comes from there is the lab's call manager."""
IDLE_S: Final = 3.0
"""How long the lab is measured before the first call."""
PROGRESS_S: Final = 2.0
CDR_TIMEOUT_S: Final = 10.0
LEFT_TIMEOUT_S: Final = 45.0
"""The longest SIP timers run 32 s (64 T1) after a call."""
PHONES_STAY_S: Final = 120
"""Beyond the callers' own time-out: settling and the report."""

Say = Callable[[str], None]


class Runner:
    """A profile on a lab; `folder` takes SIPp's files."""

    def __init__(self, lab: RunningLab, profile: Profile, folder: Path, say: Say) -> None:
        self._lab = lab
        self._profile = profile
        self._folder = folder
        self._say = say
        self._registered: list[Phones] = []
        self._phones: list[Sipp] = []
        self._callers: list[Sipp] = []

    def run(self) -> Report:
        """Make the load; raises LabError, ApiError, SippError or RegistrationError when it cannot be made."""
        lab = self._lab
        servers = [lab.sip(number) for number in range(1, len(lab.names("tas")) + 1)]
        registrations = self._node_counts("registrations")
        try:
            self._start_phones(servers)
            tasks, known, idle = self._node_counts("tasks", "descriptors"), len(lab.cdrs()), self._usage()
            time.sleep(IDLE_S)
            before = self._usage()
            counts = self._call(servers)
            after = self._usage()
            cdrs = self._new_cdrs(known)
            left = self._left(tasks)
        finally:
            self._stop()
        left += self._more_than(registrations)
        setup_ms = [time_ms for caller in self._callers for time_ms in read_response_times_ms(caller.folder)]
        return make_report(
            self._profile,
            counts=counts,
            setup_ms=setup_ms,
            idle=idle,
            before=before,
            after=after,
            cdrs=cdrs,
            left=left,
        )

    def _start_phones(self, servers: list[tuple[str, int]]) -> None:
        profile = self._profile
        known = self._lab.agents()
        unknown = [number for number in profile.numbers if number not in known]
        if unknown:
            raise LabError(f"this lab has no account for {len(unknown)} agents ({unknown[0]} …): AGENTS must be fewer")
        for phones in share_phones(self._folder, profile.numbers, servers, free_port):
            self._registered.append(phones)
            phones.register()
            self._phones.append(phones.answer(profile.timeout_s + PHONES_STAY_S))
        wait_for(lambda: not self._not_ready(), timeout_s=10, what=f"all {profile.agents} agents Ready")
        self._say(f"{profile.agents} agents Ready on {len(servers)} TAS node(s)")

    def _not_ready(self) -> list[str]:
        agents = self._lab.agents()
        return [number for number in self._profile.numbers if agents[number]["state"] != "Ready"]

    def _call(self, servers: list[tuple[str, int]]) -> Counts:
        profile = self._profile
        sizes = share_out(profile.calls, len(servers))
        for node, (server, calls) in enumerate(zip(servers, sizes, strict=False), 1):
            caller = Sipp(self._folder / f"callers-{node}", "uac_call.xml", server, host=CALLER_HOST, port=free_port())
            caller.number, caller.calls, caller.rate = profile.number, calls, profile.rate * calls / profile.calls
            caller.limit, caller.timeout_s = profile.at_once, profile.timeout_s
            caller.extra = ["-d", str(math.ceil(profile.hold_s * 1000)), "-trace_rtt", "-rtt_freq", "1"]
            self._callers.append(caller.start())
        start = said = time.monotonic()
        while any(caller.running() for caller in self._callers):
            time.sleep(0.1)
            now = time.monotonic()
            if now - start > profile.timeout_s + PHONES_STAY_S:
                break
            if now - said >= PROGRESS_S:
                said = now
                self._say_progress(now - start)
        return self._counts(final=True)

    def _counts(self, *, final: bool = False) -> Counts:
        return reduce(add, (one.stop() if final else one.progress() for one in self._callers), NONE)

    def _say_progress(self, seconds: float) -> None:
        counts = self._counts()
        total = self._profile.calls
        text = f"{counts.created} of {total} calls begun, {counts.successful} done"
        self._say(f"{seconds:4.0f} s: {text}" + (f", {counts.failed} FAILED" if counts.failed else ""))

    def _new_cdrs(self, known: int) -> list[dict[str, object]]:
        """Rows written since; the writer batches."""
        deadline = time.monotonic() + CDR_TIMEOUT_S
        while len(self._lab.cdrs()) - known < self._profile.calls and time.monotonic() < deadline:
            time.sleep(0.2)
        return self._lab.cdrs()[known:]

    def _left(self, tasks: dict[str, int]) -> list[str]:
        """What is still there when the timers must have run out."""
        self._say("calls over; SIP timers run out (half a minute)")
        deadline = time.monotonic() + LEFT_TIMEOUT_S
        while True:
            left = self._lab.left()
            left += [f"agent {number} not Ready" for number in self._not_ready()]
            left += self._more_than(tasks)
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(1.0)

    def _more_than(self, before: dict[str, int]) -> list[str]:
        """What has grown of the counts of TAS nodes taken before."""
        counters = list(dict.fromkeys(name.split()[1] for name in before))
        more = {name: count - before.get(name, 0) for name, count in self._node_counts(*counters).items()}
        return [f"{name}: {count} more" for name, count in more.items() if count > 0]

    def _node_counts(self, *counters: str) -> dict[str, int]:
        """`node counter` -> its value in each TAS's /v1/node."""
        nodes = {name: self._lab.node(number) for number, name in enumerate(self._lab.names("tas"), 1)}
        return {f"{name} {counter}": int(node[counter]) for name, node in nodes.items() for counter in counters}

    def _usage(self) -> Usage:
        pids = {name: pid for name, pid in self._lab.pids.items() if os.path.exists(f"/proc/{pid}/task")}
        memory = {name: round(rss_kb(pid) / 1024, 1) for name, pid in pids.items()}
        return Usage(time.monotonic(), {name: cpu_s(pid) for name, pid in pids.items()}, memory)

    def _stop(self) -> None:
        """Stop every SIPp and take the registrations back: a phone that is gone would be offered calls."""
        for process in [*self._callers, *self._phones]:
            process.quit()
        for phones in self._registered:
            try:
                phones.register(expires_s=0)
            except (RegistrationError, SippError) as error:
                self._say(str(error))
