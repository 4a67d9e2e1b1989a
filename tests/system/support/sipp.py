"""SIPp for tests: also with the scenarios of tests/system/scenarios, and a tone to send."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from loadtest import sipp
from loadtest.sipp import Counts, installed

__all__ = ["SCENARIOS", "Counts", "Sipp", "installed", "write_g711_tone"]

SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"


@dataclass
class Sipp(sipp.Sipp):
    """A scenario of the tests, else one of loadtest."""

    def scenario_path(self) -> Path:
        """Where the scenario's file is."""
        own = SCENARIOS / self.scenario
        return own if own.exists() else super().scenario_path()


def write_g711_tone(path: Path, frequency: int, seconds: int, law: str) -> Path:
    """A raw G.711 file for rtp_stream, made by sox; `law` is a-law or u-law."""
    source = ["sox", "-n", "-t", "raw", "-r", "8000", "-c", "1", "-e", law, str(path)]
    effect = ["synth", str(seconds), "sine", str(frequency), "gain", "-6"]
    subprocess.run([*source, *effect], check=True, capture_output=True)
    return path
