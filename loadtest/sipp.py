"""SIPp: run a scenario, bounded in time, and judge it by its call counts (its exit code lies under -timeout)."""

from __future__ import annotations

import csv
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from common.service.aio.children import die_with_parent

SCENARIOS: Final = Path(__file__).resolve().parent / "scenarios"
DEFAULT_KEYS: Final = {"expires": "600"}
"""register.xml's."""
GRACE_S: Final = 15
"""SIPp ends by itself at its -timeout; after so much more it is killed."""
QUIT_S: Final = 5


def installed() -> bool:
    """Whether SIPp is on this machine."""
    return shutil.which("sipp") is not None


class SippError(Exception):
    """SIPp did not run; the text says where it says why."""


@dataclass(frozen=True)
class Counts:
    """What SIPp's statistics say."""

    created: int
    successful: int
    failed: int

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.created + other.created, self.successful + other.successful, self.failed + other.failed)


NONE: Final = Counts(0, 0, 0)


def read_counts(path: Path) -> Counts | None:
    """Last line of a statistics file; None while there is none."""
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter=";"))
        last = rows[-1]
        return Counts(int(last["TotalCallCreated"]), int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"]))
    except (OSError, LookupError, TypeError, ValueError):  # not there, or a line is being written
        return None


def read_response_times_ms(folder: Path) -> list[float]:
    """INVITE to 200 of each call, from the files of -trace_rtt (steps of 4 ms)."""
    times = []
    for path in folder.glob("*_rtt.csv"):
        with path.open(newline="") as file:
            times += [float(row["response_time_ms"]) for row in csv.DictReader(file, delimiter=";")]
    return times


@dataclass
class Sipp:
    """One SIPp process in its own folder. `server` is the remote end; a UAS needs none."""

    folder: Path
    scenario: str
    server: tuple[str, int] | None = None
    host: str = "127.0.0.1"
    port: int = 0
    number: str = ""
    calls: int = 1
    rate: float = 1.0
    limit: int = 1000
    """Calls at the same time."""
    timeout_s: int = 60
    rows: list[str] = field(default_factory=list)
    """Lines of an injection file (semicolon separated fields)."""
    keys: dict[str, str] = field(default_factory=dict)
    transport: str = "u1"
    extra: list[str] = field(default_factory=list)
    prefix: list[str] = field(default_factory=list)
    rtp_port: int = 0

    def scenario_path(self) -> Path:
        """Where the scenario's file is."""
        return SCENARIOS / self.scenario

    def command(self) -> list[str]:
        """The command line."""
        command = [*self.prefix, "sipp", "-nostdin", "-sf", str(self.scenario_path()), "-i", self.host]
        command += ["-m", str(self.calls), "-r", str(self.rate), "-l", str(self.limit), "-t", self.transport]
        command += ["-timeout", f"{self.timeout_s}s", "-trace_stat", "-fd", "1", "-stf", "stat.csv"]
        command += ["-trace_err", "-error_file", "errors.log", "-mi", self.host]
        if self.port:
            command += ["-p", str(self.port)]
        if self.rtp_port:
            command += ["-min_rtp_port", str(self.rtp_port), "-max_rtp_port", str(self.rtp_port + 2000)]
        if self.number:
            command += ["-s", self.number]
        for key, value in (DEFAULT_KEYS | self.keys).items():
            command += ["-key", key, value]
        if self.rows:
            command += ["-inf", "rows.csv"]
        command += self.extra
        if self.server is not None:
            command.append(f"{self.server[0]}:{self.server[1]}")
        return command

    def start(self) -> Sipp:
        """Start in the background."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.rows:
            (self.folder / "rows.csv").write_text("SEQUENTIAL\n" + "\n".join(self.rows) + "\n")
        with (self.folder / "screen.log").open("wb") as screen:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=screen,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,
            )
        return self

    @property
    def pid(self) -> int:
        """Process id of the running SIPp."""
        return self._process.pid

    def running(self) -> bool:
        """Whether it has not yet ended."""
        return self._process.poll() is None

    def wait(self) -> Counts:
        """Wait for the end (bounded by timeout_s and a grace time) and read the counts."""
        self._wait(self.timeout_s + GRACE_S)
        return self.counts()

    def stop(self) -> Counts:
        """Quit, then count."""
        self.quit()
        return self.counts()

    def quit(self) -> None:
        """SIGUSR1 lets SIPp write its statistics and quit."""
        if self.running():
            self._process.send_signal(signal.SIGUSR1)
            self._wait(QUIT_S)

    def _wait(self, timeout_s: float) -> None:
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def run(self) -> Counts:
        """Start, wait, count."""
        return self.start().wait()

    def progress(self) -> Counts:
        """The counts so far; SIPp writes them once a second."""
        return read_counts(self.folder / "stat.csv") or NONE

    def counts(self) -> Counts:
        """The counts; raises SippError when SIPp wrote none: it has not run."""
        counts = read_counts(self.folder / "stat.csv")
        if counts is None:
            raise SippError(f"SIPp wrote no statistics; see {self.folder}/screen.log")
        return counts

    def errors(self) -> str:
        """What SIPp wrote of unexpected messages."""
        files = [*self.folder.glob("errors.log"), *self.folder.glob("*_errors.log")]
        return "\n".join(path.read_text(errors="replace")[:4000] for path in files)
