"""Phones and callers of the call path tests: an agent whose phone SIPp plays, a caller on the trunk, waits on a lab."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.system.support import baresip, sipp
from tests.system.support.lab import Lab, wait_for

CALLER = "0700123"


def sipp_agent(lab: Lab, folder: Path, agent: str, scenario: str, *, calls: int = 1) -> sipp.Sipp:
    """Register `agent` at tas-1 from a port where SIPp then plays `scenario`; the agent is Ready."""
    port = baresip.free_port()
    rows = [f"{agent};[authentication username={agent} password=lab-{agent}]"]
    logon = sipp.Sipp(folder / "register", "register.xml", lab.sip(1), port=port, rows=rows, timeout_s=10)
    counts = logon.run()
    assert (counts.successful, counts.failed) == (1, 0), logon.errors()
    phone = sipp.Sipp(folder / "phone", scenario, port=port, calls=calls, timeout_s=60)
    phone.extra = ["-trace_msg", "-message_file", "messages.log"]
    phone.start()
    lab.wait_agent(agent, "Ready")
    return phone


def refusing(folder: Path, status: str) -> str:
    """A scenario of a phone that answers every INVITE with `status` ("603 Decline"): SIPp knows no variable for it."""
    text = (sipp.SCENARIOS / "uas_reject.xml").read_text()
    assert "486 Busy Here" in text
    path = folder / "refusing.xml"
    path.write_text(text.replace("SIP/2.0 486 Busy Here", f"SIP/2.0 {status}"))
    return str(path)


def messages(phone: sipp.Sipp) -> str:
    """All SIP messages a SIPp with -trace_msg sent and received."""
    return (phone.folder / "messages.log").read_text(errors="replace")


def trunk_caller(lab: Lab, folder: Path, *, tone: float = 700.0, node: int = 1) -> baresip.Baresip:
    """A running caller on the trunk."""
    caller = baresip.Baresip(folder, CALLER, server=lab.sip(node), host="127.0.0.2", register=False, tone=tone)
    caller.start()
    return caller


def is_idle(phone: baresip.Baresip) -> bool:
    """Whether a phone is in no call."""
    return "(0)" in str(phone.command("listcalls")["data"])


def forget_recordings(phone: baresip.Baresip) -> None:
    """Delete what the phone heard in earlier calls."""
    for recording in phone.heard():
        recording.unlink()


def hang_up_and_wait(phone: baresip.Baresip) -> None:
    """End what call there is."""
    if not is_idle(phone):
        phone.hang_up()
    wait_for(lambda: is_idle(phone), timeout_s=5, what=f"phone {phone.user} idle")


def living_calls(lab: Lab, node: int = 1) -> list[dict[str, Any]]:
    """Calls of a TAS that are not over."""
    found: list[dict[str, Any]] = lab.request(f"{lab.node_http(node)}/v1/calls")
    return [call for call in found if call["state"] != "over"]


def wait_call(lab: Lab, state: str, *, node: int = 1, timeout_s: float = 10) -> dict[str, Any]:
    """Wait until the one living call of a TAS is in a state."""

    def check() -> dict[str, Any] | None:
        calls = living_calls(lab, node)
        return calls[0] if len(calls) == 1 and calls[0]["state"] == state else None

    found: dict[str, Any] = wait_for(check, timeout_s=timeout_s, what=f"one call, {state}")
    return found


def wait_cdr(lab: Lab, before: int, timeout_s: float = 8) -> dict[str, Any]:
    """The one CDR written since there were `before` of them."""
    rows: list[dict[str, Any]] = wait_for(lambda: lab.cdrs()[before:], timeout_s=timeout_s, what="the call's CDR")
    assert len(rows) == 1, rows
    return rows[0]


def seconds_of_sound(phone: baresip.Baresip) -> float:
    """How much the phone has recorded of its last call."""
    recordings = phone.heard()
    return (recordings[-1].stat().st_size - 44) / 16000 if recordings else 0.0
