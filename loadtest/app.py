"""The command behind `make load`: a lab of its own or a running one, a load run, a report."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from loadtest import sipp
from loadtest.agents import RegistrationError
from loadtest.aio.lab import CONFIGS, Lab, LabError, RunningLab
from loadtest.aio.runner import Runner
from loadtest.profile import Profile, ProfileError, prepare_configs
from loadtest.report import render
from loadtest.sipp import SippError
from tasctl.client import ApiError
from tasctl.lab_file import var_folder

REPORT: Final = "report.json"


def say(text: str) -> None:
    """A progress line; the report alone goes to stdout."""
    print(f"load: {text}", file=sys.stderr, flush=True)


def parse(arguments: list[str]) -> tuple[Profile, Path | None]:
    """The profile, and the var folder of a running lab if one was named; raises ProfileError."""
    default = Profile()
    parser = argparse.ArgumentParser(prog="make load", description=__doc__)
    parser.add_argument("--calls", type=int, default=default.calls)
    parser.add_argument("--rate", type=float, default=default.rate, help="calls a second")
    parser.add_argument("--agents", type=int, default=default.agents)
    parser.add_argument("--hold", type=float, default=default.hold_s, help="seconds from the 200 to the caller's BYE")
    parser.add_argument("--number", default=default.number, help="what the callers dial")
    parser.add_argument("--lab", type=Path, help="var folder of a running lab; without it one is started for the run")
    found = parser.parse_args(arguments)
    profile = Profile(found.calls, found.rate, found.agents, found.hold, found.number)
    profile.check()
    return profile, found.lab


@contextmanager
def own_lab(folder: Path, profile: Profile) -> Iterator[RunningLab]:
    """A lab for one run: own ports, own var folder, agents without WrapUp."""
    configs = folder / "configs"
    shutil.copytree(CONFIGS, configs)
    prepare_configs(configs, profile.numbers)
    lab = Lab(folder / "lab", configs=configs)
    start = time.monotonic()
    say(f"starting a lab on {folder / 'lab'}/, SIP ports from {lab.base}")
    try:
        lab.start()
        say(f"lab ready after {time.monotonic() - start:.1f} s")
        yield lab
    finally:
        lab.stop()


def run(profile: Profile, running: Path | None, folder: Path) -> bool:
    """One run with its report in `folder`; whether all was well. Raises as Runner.run does."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if running is None:
        with own_lab(folder, profile) as lab:
            report = Runner(lab, profile, folder, say).run()
    else:
        report = Runner(RunningLab(running), profile, folder, say).run()
    (folder / REPORT).write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    print(render(report))
    say(f"written to {folder / REPORT}")
    return report.ok


def main(arguments: list[str]) -> int:
    """Exit code: 0 all calls succeeded and nothing is left, 1 otherwise, 2 for arguments that cannot be."""
    try:
        profile, running = parse(arguments)
    except ProfileError as error:
        say(str(error))
        return 2
    if not sipp.installed():
        say("sipp is not installed: `make setup` installs it or names the line to run")
        return 1
    try:
        return 0 if run(profile, running, var_folder().resolve() / "load") else 1
    except (LabError, ApiError, SippError, RegistrationError, OSError) as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("interrupted")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
