"""SIPp: run a scenario, bounded in time, and judge it by its call counts (its exit code lies under -timeout)."""

from __future__ import annotations

import csv
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"


def installed() -> bool:
    """Whether SIPp is on this machine."""
    return shutil.which("sipp") is not None


@dataclass(frozen=True)
class Counts:
    """What SIPp's statistics say at the end."""

    created: int
    successful: int
    failed: int


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

    def start(self) -> Sipp:
        """Start in the background."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [*self.prefix, "sipp", "-nostdin", "-sf", str(SCENARIOS / self.scenario), "-i", self.host]
        command += ["-m", str(self.calls), "-r", str(self.rate), "-l", str(self.limit), "-t", self.transport]
        command += ["-timeout", f"{self.timeout_s}s", "-trace_stat", "-fd", "1", "-stf", "stat.csv"]
        command += ["-trace_err", "-error_file", "errors.log", "-mi", self.host]
        if self.port:
            command += ["-p", str(self.port)]
        if self.rtp_port:
            command += ["-min_rtp_port", str(self.rtp_port), "-max_rtp_port", str(self.rtp_port + 2000)]
        if self.number:
            command += ["-s", self.number]
        for key, value in self.keys.items():
            command += ["-key", key, value]
        if self.rows:
            (self.folder / "rows.csv").write_text("SEQUENTIAL\n" + "\n".join(self.rows) + "\n")
            command += ["-inf", "rows.csv"]
        command += self.extra
        if self.server is not None:
            command.append(f"{self.server[0]}:{self.server[1]}")
        with (self.folder / "screen.log").open("wb") as screen:
            self._process = subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=screen, stderr=subprocess.STDOUT
            )
        return self

    @property
    def pid(self) -> int:
        """Process id of the running SIPp."""
        return self._process.pid

    def wait(self) -> Counts:
        """Wait for the end (bounded by timeout_s and a grace time) and read the counts."""
        try:
            self._process.wait(self.timeout_s + 15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        return self.counts()

    def stop(self) -> Counts:
        """SIGUSR1 lets SIPp write its statistics and quit."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGUSR1)
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        return self.counts()

    def run(self) -> Counts:
        """Start, wait, count."""
        return self.start().wait()

    def counts(self) -> Counts:
        """Last line of the statistics file."""
        with (self.folder / "stat.csv").open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter=";"))
        assert rows, f"SIPp wrote no statistics; see {self.folder}/screen.log"
        last = rows[-1]
        created = int(last["TotalCallCreated"]) if "TotalCallCreated" in last else 0
        return Counts(created, int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"]))

    def errors(self) -> str:
        """What SIPp wrote of unexpected messages, for assertion texts."""
        files = [*self.folder.glob("errors.log"), *self.folder.glob("*_errors.log")]
        return "\n".join(path.read_text(errors="replace")[:4000] for path in files)


def write_g711_tone(path: Path, frequency: int, seconds: int, law: str) -> Path:
    """A raw G.711 file for rtp_stream, made by sox; `law` is a-law or u-law."""
    source = ["sox", "-n", "-t", "raw", "-r", "8000", "-c", "1", "-e", law, str(path)]
    effect = ["synth", str(seconds), "sine", str(frequency), "gain", "-6"]
    subprocess.run([*source, *effect], check=True, capture_output=True)
    return path
