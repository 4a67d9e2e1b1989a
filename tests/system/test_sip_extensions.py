"""Session timers as SIPp, a stack that is not ours, sees them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.support import sipp
from tests.system.support.lab import Lab, copy_configs
from tests.system.support.parties import sipp_agent, wait_cdr

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not sipp.installed(), reason="sipp is not installed (make setup installs sip-tester)"),
]

ECHO = "9196"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    configs = copy_configs(folder / "configs", {"queues.toml": {"wrapuptime = 5": "wrapuptime = 1"}})
    lab = Lab(folder / "var", tas=1, media=1, configs=configs)
    lab.start()
    yield lab
    lab.stop()


def caller(lab: Lab, folder: Path, scenario: str, number: str, *more: str) -> sipp.Sipp:
    """A caller on the trunk."""
    call = sipp.Sipp(folder, scenario, lab.sip(1), host="127.0.0.2", number=number, timeout_s=40)
    call.extra = [*more, "-trace_msg", "-message_file", "messages.log"]
    return call


def test_caller_that_asks_for_too_short_a_session_is_refused_then_refreshes_both_ways(lab: Lab, tmp_path: Path) -> None:
    before = len(lab.cdrs())
    call = caller(lab, tmp_path / "sipp", "uac_session_timer.xml", ECHO)
    counts = call.run()
    assert (counts.successful, counts.failed) == (1, 0), call.errors()
    assert wait_cdr(lab, before)["reason"] == "completed"


def test_agents_phone_that_stops_refreshing_ends_the_call_and_the_agent_goes_to_wrap_up(
    lab: Lab, tmp_path: Path
) -> None:
    before = len(lab.cdrs())
    phone = sipp_agent(lab, tmp_path, "1003", "uas_session_timer.xml")
    call = caller(lab, tmp_path / "sipp", "uac_call.xml", "8000", "-d", "30000").start()
    lab.wait_agent("1003", "WrapUp", timeout_s=30)
    counts = phone.wait()
    call.quit()
    assert (counts.successful, counts.failed) == (1, 0), phone.errors()
    row = wait_cdr(lab, before)
    assert (row["reason"], row["sip_cause"]) == ("signalling_timeout", 408)
