"""Call paths as users meet them: callers who give up, agents who do not answer, menus, hold, calls out, the ladder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tasctl import main as tasctl
from tests.system.support import audio, baresip, sipp
from tests.system.support.lab import Lab, copy_configs, wait_for
from tests.system.support.parties import (
    CALLER,
    forget_recordings,
    hang_up_and_wait,
    is_idle,
    living_calls,
    messages,
    refusing,
    seconds_of_sound,
    sipp_agent,
    trunk_caller,
    wait_call,
    wait_cdr,
)

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not sipp.installed(), reason="sipp is not installed (make setup installs sip-tester)"),
    pytest.mark.skipif(not baresip.installed(), reason="baresip is not installed (make setup installs baresip-core)"),
]

RING_S = 3
RTP_TIMEOUT_S = 5
MENU_TIMEOUT_S = 2
CALLER_TONE = 700.0
AGENT_TONE = 1000.0
PROMPT_TONE = 500.0
PROMPT_S = 0.4
SECOND = "1002"
"""The agent whose phone answers everything."""
OTHERS = iter([str(number) for number in range(1003, 1021)])
"""An agent for every test that needs a phone of its own."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    menu = {"timeout_s = 5 ": f"timeout_s = {MENU_TIMEOUT_S} ", "repeats = 2": "repeats = 1"}
    changes = {
        "queues.toml": {"timeout = 15": f"timeout = {RING_S}", "wrapuptime = 5": "wrapuptime = 1"},
        "routing.toml": menu | {'prompt = "menu"': 'prompt = "short"'},
        "tas.toml": {"t1_s = 0.5": "t1_s = 0.1"},
        "mediaserver.toml": {"timeout_s = 60": f"timeout_s = {RTP_TIMEOUT_S}"},
    }
    configs = copy_configs(folder / "configs", changes)
    audio.write_tone(configs / "sounds" / "short.wav", PROMPT_TONE, PROMPT_S)
    lab = Lab(folder / "var", tas=1, media=1, configs=configs)
    lab.start()
    yield lab
    lab.stop()


@pytest.fixture(scope="module")
def shared_caller(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[baresip.Baresip]:
    caller = trunk_caller(lab, tmp_path_factory.mktemp("caller") / "phone", tone=CALLER_TONE)
    yield caller
    caller.stop()


@pytest.fixture
def caller(shared_caller: baresip.Baresip) -> Iterator[baresip.Baresip]:
    """A caller on the trunk without recordings, idle before and after."""
    forget_recordings(shared_caller)
    yield shared_caller
    hang_up_and_wait(shared_caller)


@pytest.fixture(scope="module")
def second_phone(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[baresip.Baresip]:
    phone = baresip.Baresip(
        tmp_path_factory.mktemp("second") / "phone", SECOND, server=lab.sip(1), password=f"lab-{SECOND}"
    )
    phone.start()
    lab.wait_agent(SECOND, "Ready")
    lab.set_agent(SECOND, "NotReady")
    yield phone
    phone.stop()


@pytest.fixture
def second(lab: Lab, second_phone: baresip.Baresip) -> Iterator[baresip.Baresip]:
    """Agent 1002, whose phone answers by itself; Ready since now, so that 1001 has waited longer."""
    forget_recordings(second_phone)
    lab.set_agent(SECOND, "Ready")
    yield second_phone
    hang_up_and_wait(second_phone)
    lab.set_agent(SECOND, "NotReady")
    lab.wait_agent(SECOND, "NotReady", timeout_s=5)


@pytest.fixture
def first(lab: Lab) -> Iterator[str]:
    """An agent who has not logged on yet; takes no further calls after the test."""
    agent = next(OTHERS)
    yield agent
    if lab.agents()[agent]["state"] != "LoggedOut":
        lab.set_agent(agent, "NotReady")


@pytest.fixture
def cdrs(lab: Lab) -> int:
    """How many CDRs there are before the test, with those of all calls that are over."""

    def written() -> list[dict[str, Any]] | None:
        over = {call["call_uid"] for call in lab.request(f"{lab.node_http(1)}/v1/calls") if call["state"] == "over"}
        rows = lab.cdrs()
        return [{}, *rows] if over <= {row["call_uid"] for row in rows} and not living_calls(lab) else None

    return len(wait_for(written, timeout_s=10, what="the CDRs of earlier calls")) - 1


def assert_outcome(cdr: dict[str, Any], result: str, reason: str, **columns: object) -> None:
    """The CDR's result, and further columns."""
    wanted: dict[str, object] = {"result": result, "reason": reason, **columns}
    assert {name: cdr[name] for name in wanted} == wanted


def waiting(lab: Lab) -> int:
    """Callers in the queue, as the broker has it."""
    (queue,) = lab.request(f"{lab.broker_http()}/v1/queues")
    count: int = queue["waiting"]
    return count


# Refusals come first: their transactions last 32 s (timer D), and the last test waits for them.


@pytest.mark.parametrize(("status", "outcome"), [("486 Busy Here", "busy"), ("404 Not Found", "unknown_number")])
def test_refusal_of_the_trunk_is_the_calls_end(
    lab: Lab, tmp_path: Path, second: baresip.Baresip, cdrs: int, status: str, outcome: str
) -> None:
    pbx = sipp.Sipp(tmp_path / "pbx", refusing(tmp_path, status), host="127.0.0.2", port=lab.pbx_port(), timeout_s=30)
    pbx.start()
    second.dial("0123456")
    cdr = wait_cdr(lab, cdrs)
    assert_outcome(cdr, "rejected", outcome, direction="out", sip_cause=int(status[:3]))
    assert is_idle(second)
    pbx.wait()
    lab.wait_agent(SECOND, "Ready")


# Callers who give up.


def test_caller_who_hangs_up_in_the_queue_is_abandoned(lab: Lab, caller: baresip.Baresip, cdrs: int) -> None:
    caller.dial("8000")
    wait_for(lambda: waiting(lab) == 1, timeout_s=10, what="a caller in the queue")
    caller.hang_up()
    cdr = wait_cdr(lab, cdrs)
    assert_outcome(cdr, "abandoned", "caller_hangup", queue="support", agent="", caller=CALLER, direction="in")
    assert cdr["answered_at"] is None
    wait_for(lambda: waiting(lab) == 0, timeout_s=5, what="the queue empty")


def test_caller_who_hangs_up_while_the_phone_rings_cancels_it(
    lab: Lab, tmp_path: Path, caller: baresip.Baresip, first: str, cdrs: int
) -> None:
    phone = sipp_agent(lab, tmp_path, first, "uas_ring.xml")
    caller.dial("8000")
    lab.wait_agent(first, "Ringing")
    caller.hang_up()
    counts = phone.wait()
    assert (counts.successful, counts.failed) == (1, 0), phone.errors()
    assert_outcome(wait_cdr(lab, cdrs), "abandoned", "caller_hangup", queue="support")
    assert lab.wait_agent(first, "Ready", timeout_s=3)["calls_taken"] == 0


# Agents who do not take the call: the next one gets it.


def test_agent_who_does_not_answer_is_not_ready_and_the_next_gets_the_caller(
    lab: Lab, tmp_path: Path, caller: baresip.Baresip, second: baresip.Baresip, first: str, cdrs: int
) -> None:
    phone = sipp_agent(lab, tmp_path, first, "uas_ring.xml")
    lab.set_agent(SECOND, "NotReady")
    caller.dial("8000")
    lab.wait_agent(first, "Ringing")
    lab.set_agent(SECOND, "Ready")
    assert lab.wait_agent(first, "NotReady", timeout_s=RING_S + 3)["reason"] == "RNA"
    lab.wait_agent(SECOND, "Talking", timeout_s=3)
    counts = phone.wait()
    assert (counts.successful, counts.failed) == (1, 0), phone.errors()
    hang_up_and_wait(caller)
    cdr = wait_cdr(lab, cdrs)
    assert_outcome(cdr, "answered", "caller_hangup", queue="support", agent=SECOND)
    assert cdr["wait_s"] >= RING_S, "the caller's clock goes on from the first agent to the second"


@pytest.mark.parametrize("status", ["486 Busy Here", "603 Decline", "480 Do Not Disturb"])
def test_agent_who_refuses_is_not_ready_and_the_next_gets_the_caller(
    lab: Lab,
    tmp_path: Path,
    caller: baresip.Baresip,
    second: baresip.Baresip,
    first: str,
    cdrs: int,
    status: str,
) -> None:
    lab.set_agent(SECOND, "NotReady")
    phone = sipp_agent(lab, tmp_path, first, refusing(tmp_path, status))
    lab.set_agent(SECOND, "Ready")
    caller.dial("8000")
    lab.wait_agent(SECOND, "Talking")
    refused = lab.agents()[first]
    assert (refused["state"], refused["reason"]) == ("NotReady", "REJECTED")
    counts = phone.wait()
    assert (counts.successful, counts.failed) == (1, 0), phone.errors()
    hang_up_and_wait(caller)
    assert_outcome(wait_cdr(lab, cdrs), "answered", "caller_hangup", agent=SECOND)


def test_phone_killed_in_a_call_ends_it_by_rtp_timeout(
    lab: Lab, tmp_path: Path, caller: baresip.Baresip, first: str, cdrs: int
) -> None:
    """The phone goes without BYE; its next call is not answered either, and the agent is NotReady for it."""
    phone = baresip.Baresip(tmp_path / "phone", first, server=lab.sip(1), password=f"lab-{first}")
    phone.start()
    lab.wait_agent(first, "Ready")
    caller.dial("8000")
    lab.wait_agent(first, "Talking")
    phone.kill()
    cdr = wait_cdr(lab, cdrs, timeout_s=RTP_TIMEOUT_S + 5)
    assert_outcome(cdr, "failed", "rtp_timeout", agent=first)
    wait_for(lambda: is_idle(caller), timeout_s=3, what="BYE to the caller")
    lab.wait_agent(first, "Ready", timeout_s=5)
    caller.dial("8000")
    gone = lab.wait_agent(first, "NotReady", timeout_s=RING_S + 5)
    assert gone["reason"] in ("RNA", "PHONE_DOWN"), gone
    assert waiting(lab) == 1, "the caller goes on waiting"


# Menus.


def menu_caller(lab: Lab, caller: baresip.Baresip) -> None:
    """In the menu, and the prompt is heard."""
    caller.dial("8100")
    wait_call(lab, "treatment")
    wait_for(lambda: seconds_of_sound(caller) > 0.2, timeout_s=5, what="the prompt")


def test_menu_digit_1_leads_to_the_queue(lab: Lab, caller: baresip.Baresip, cdrs: int) -> None:
    menu_caller(lab, caller)
    caller.command("sndcode", "1")
    assert wait_call(lab, "queued", timeout_s=MENU_TIMEOUT_S)["queue"] == "support"
    hang_up_and_wait(caller)
    assert_outcome(wait_cdr(lab, cdrs), "abandoned", "caller_hangup", queue="support", called="8100")


def test_menu_digit_3_leads_to_the_echo_test(lab: Lab, caller: baresip.Baresip, cdrs: int) -> None:
    menu_caller(lab, caller)
    caller.command("sndcode", "3")
    begin = seconds_of_sound(caller)
    wait_for(lambda: seconds_of_sound(caller) > begin + 2.0, timeout_s=10, what="2 s of echo")
    hang_up_and_wait(caller)
    heard = audio.judge(audio.read_wav(caller.heard()[-1]), CALLER_TONE)
    assert heard.share >= 0.9, heard
    assert heard.seconds >= 1.2, heard
    assert_outcome(wait_cdr(lab, cdrs), "answered", "completed", queue="", called="8100")


def prompts_heard(caller: baresip.Baresip) -> float:
    """How often the last recording holds the prompt; there is no gap between two in it, for nothing was sent then."""
    samples = audio.read_wav(caller.heard()[-1])
    frames = [samples[at : at + 160] for at in range(0, len(samples) - 160, 160)]
    tones = [max(frame) > 2000 and audio.goertzel(frame, PROMPT_TONE) > 0.7 for frame in frames]
    return round(sum(tones) * 0.02 / PROMPT_S, 1)


def press_and_hear_the_prompt(caller: baresip.Baresip, digit: str) -> None:
    """Press a digit; it stops the prompt that plays, and the prompt begins anew."""
    caller.command("sndcode", digit)
    begin = seconds_of_sound(caller)
    wait_for(lambda: seconds_of_sound(caller) > begin + 0.75 * PROMPT_S, timeout_s=10, what="the prompt again")


def test_menu_digit_9_plays_the_prompt_again_and_costs_no_repetition(
    lab: Lab, caller: baresip.Baresip, cdrs: int
) -> None:
    menu_caller(lab, caller)
    for _ in range(3):
        press_and_hear_the_prompt(caller, "9")
    assert wait_call(lab, "treatment")["called"] == "8100"
    hang_up_and_wait(caller)
    assert_outcome(wait_cdr(lab, cdrs), "answered", "completed", queue="")


def test_menu_wrong_digits_repeat_the_prompt_and_then_lead_to_the_queue(
    lab: Lab, caller: baresip.Baresip, cdrs: int
) -> None:
    menu_caller(lab, caller)
    press_and_hear_the_prompt(caller, "7")
    assert wait_call(lab, "treatment")
    caller.command("sndcode", "8")
    assert wait_call(lab, "queued", timeout_s=MENU_TIMEOUT_S)["queue"] == "support"
    hang_up_and_wait(caller)
    assert_outcome(wait_cdr(lab, cdrs), "abandoned", "caller_hangup", queue="support")


def test_menu_silence_repeats_the_prompt_and_then_leads_to_the_queue(
    lab: Lab, caller: baresip.Baresip, cdrs: int
) -> None:
    menu_caller(lab, caller)
    assert wait_call(lab, "queued", timeout_s=2 * (MENU_TIMEOUT_S + PROMPT_S) + 3)["queue"] == "support"
    hang_up_and_wait(caller)
    assert 1.5 < prompts_heard(caller) < 2.2, "twice, less what was sent before the phone listened"
    assert_outcome(wait_cdr(lab, cdrs), "abandoned", "caller_hangup", queue="support")


def test_menu_takes_digits_by_info(lab: Lab, tmp_path: Path, cdrs: int) -> None:
    call = sipp.Sipp(tmp_path / "sipp", "uac_info.xml", lab.sip(1), host="127.0.0.2", number="8100", timeout_s=20)
    call.keys = {"digit": "1"}
    call.extra = ["-d", "500"]
    counts = call.run()
    assert (counts.successful, counts.failed) == (1, 0), call.errors()
    assert_outcome(wait_cdr(lab, cdrs), "abandoned", "caller_hangup", queue="support", called="8100")


# Sound: echo, late offer, hold.


def test_caller_on_the_trunk_hears_itself_at_9196(lab: Lab, caller: baresip.Baresip, cdrs: int) -> None:
    caller.dial("9196")
    wait_for(lambda: seconds_of_sound(caller) > 2.0, timeout_s=10, what="2 s of echo")
    hang_up_and_wait(caller)
    heard = audio.judge(audio.read_wav(caller.heard()[-1]), CALLER_TONE)
    assert heard.share >= 0.9, heard
    assert heard.seconds >= 1.8, heard
    assert_outcome(wait_cdr(lab, cdrs), "answered", "completed", called="9196", trunk="pbx")


def test_late_offer_caller_and_agent_hear_each_other(
    lab: Lab, tmp_path: Path, second: baresip.Baresip, cdrs: int
) -> None:
    """The caller echoes what it hears, so the agent hears its own tone only when both ways work."""
    call = sipp.Sipp(tmp_path / "sipp", "uac_late_offer.xml", lab.sip(1), host="127.0.0.2", number="8000", timeout_s=30)
    call.extra = ["-d", "3500", "-rtp_echo", "-mp", str(40000 + 2 * (baresip.free_port() % 5000))]
    counts = call.run()
    assert (counts.successful, counts.failed) == (1, 0), call.errors()
    assert_outcome(wait_cdr(lab, cdrs), "answered", "caller_hangup", agent=SECOND, codec_a="PCMA")
    heard = audio.judge(audio.read_wav(second.heard()[-1]), AGENT_TONE)
    assert heard.share >= 0.9, heard
    assert heard.seconds >= 2.0, heard


@pytest.mark.parametrize("holder", ["caller", "agent"])
def test_hold_and_retrieve(lab: Lab, caller: baresip.Baresip, second: baresip.Baresip, cdrs: int, holder: str) -> None:
    """Judged at the held party and by packets to the holder: baresip itself stops recording when it holds."""
    caller.dial("8000")
    lab.wait_agent(SECOND, "Talking")
    holding, held, leg = (caller, second, 1) if holder == "caller" else (second, caller, 2)
    tone = CALLER_TONE if holder == "caller" else AGENT_TONE
    wait_for(lambda: seconds_of_sound(held) > 1.0, timeout_s=5, what="1 s of sound")
    uid = wait_call(lab, "talking")["call_uid"]
    holding.command("hold")
    wait_for(lambda: reinvites(lab, uid, leg) == 1, timeout_s=5, what="the hold answered")
    sent_before = packets_sent(lab, uid, leg)
    holding.command("resume")
    wait_for(lambda: reinvites(lab, uid, leg) == 2, timeout_s=5, what="the retrieval answered")
    begin = seconds_of_sound(held)
    wait_for(lambda: seconds_of_sound(held) > begin + 1.2, timeout_s=5, what="1.2 s of sound after the retrieval")
    assert packets_sent(lab, uid, leg) > sent_before + 40
    wait_call(lab, "talking")
    hang_up_and_wait(caller)
    assert_outcome(wait_cdr(lab, cdrs), "answered", "caller_hangup", agent=SECOND)
    after = audio.judge(audio.read_wav(held.heard()[-1])[-8000:], tone)
    assert after.share >= 0.9, after


def packets_sent(lab: Lab, uid: str, leg: int) -> int:
    """RTP packets sent to a leg of a call."""
    count: int = lab.request(f"{lab.media_http(1)}/v1/sessions/{uid}.{leg}")["statistics"]["packets_sent"]
    return count


def reinvites(lab: Lab, uid: str, leg: int) -> int:
    """How many re-INVITEs of a leg we have answered with 200."""
    steps = lab.request(f"{lab.node_http(1)}/v1/calls/{uid}/ladder")
    return sum(
        step["sent"] and step["leg_id"] == f"{uid}.{leg}" and step["first_line"] == "SIP/2.0 200 OK"
        for step in steps
        if step["cseq"].endswith("INVITE")
    ) - (leg == 1)


# Calls of agents.


def test_agent_calls_out_over_the_trunk_and_is_shown(
    lab: Lab, tmp_path: Path, second: baresip.Baresip, cdrs: int
) -> None:
    pbx = sipp.Sipp(tmp_path / "pbx", "uas_agent.xml", host="127.0.0.2", port=lab.pbx_port(), timeout_s=30)
    pbx.extra = ["-trace_msg", "-message_file", "messages.log"]
    pbx.start()
    second.dial("0123456")
    wait_call(lab, "talking")
    second.hang_up()
    counts = pbx.wait()
    assert (counts.successful, counts.failed) == (1, 0), pbx.errors()
    cdr = wait_cdr(lab, cdrs)
    assert_outcome(cdr, "answered", "caller_hangup", direction="out", trunk="pbx", caller=SECOND, called="0123456")
    invite = messages(pbx).partition("INVITE sip:0123456@")[2]
    assert f"sip:{SECOND}@" in invite.partition("From:")[2].partition("\n")[0], invite
    assert f"sip:{SECOND}@" in invite.partition("P-Asserted-Identity:")[2].partition("\n")[0], invite
    lab.wait_agent(SECOND, "Ready")


def test_agent_calls_agent_and_both_are_talking(
    lab: Lab, tmp_path: Path, second: baresip.Baresip, first: str, cdrs: int
) -> None:
    phone = sipp_agent(lab, tmp_path, first, "uas_agent.xml")
    second.dial(first)
    for agent in (first, SECOND):
        lab.wait_agent(agent, "Talking")
    wait_call(lab, "talking")
    second.hang_up()
    counts = phone.wait()
    assert (counts.successful, counts.failed) == (1, 0), phone.errors()
    assert_outcome(wait_cdr(lab, cdrs), "answered", "caller_hangup", direction="internal", caller=SECOND, called=first)
    for agent in (first, SECOND):
        lab.wait_agent(agent, "Ready")


def test_agent_calls_an_agent_who_is_logged_out(lab: Lab, second: baresip.Baresip, cdrs: int) -> None:
    second.dial("1010")
    assert_outcome(wait_cdr(lab, cdrs), "rejected", "not_registered", sip_cause=480)
    wait_for(lambda: is_idle(second), timeout_s=3, what="the phone idle")
    lab.wait_agent(SECOND, "Ready")


# What an engineer sees.


def ask(lab: Lab, *arguments: str) -> Any:
    """tasctl's JSON, asked of this lab without the start of an interpreter; it must exit 0."""
    done = CliRunner().invoke(tasctl.app, [*arguments, "--json"], env={"LAB_VAR": str(lab.var)})
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


def test_tasctl_shows_the_call_and_its_ladder(lab: Lab, caller: baresip.Baresip, second: baresip.Baresip) -> None:
    caller.dial("8000")
    lab.wait_agent(SECOND, "Talking")
    status = ask(lab, "status")
    assert status["ready"] is True
    assert {process["role"] for process in status["processes"]} == {"bus", "broker", "media", "tas"}
    call = next(call for call in ask(lab, "calls") if call["state"] == "talking")
    assert (call["caller"], call["called"], call["queue"], call["agent"]) == (CALLER, "8000", "support", SECOND)
    assert [(leg["direction"], leg["codec"], leg["media"]) for leg in call["legs"]] == [
        ("in", "PCMA", "media-1"),
        ("out", "PCMA", "media-1"),
    ]
    agent = next(agent for agent in ask(lab, "agents") if agent["agent"] == SECOND)
    assert (agent["state"], agent["device"], agent["node"], agent["call_uid"]) == (
        "Talking",
        "in_use",
        "tas-1",
        call["call_uid"],
    )
    (queue,) = ask(lab, "queues")
    assert (queue["queue"], queue["waiting"], queue["talking"]) == ("support", 0, 1)
    (server,) = ask(lab, "media")
    assert (server["server"], server["seen_by"], server["state"]) == ("media-1", "tas-1", "up")
    hang_up_and_wait(caller)
    assert_ladder(lab, call["call_uid"])


def assert_ladder(lab: Lab, uid: str) -> None:
    """All messages of both legs, in order, and where each leg's line stands in the drawing."""
    drawn = lab.tasctl("call", uid, "--ladder")
    assert drawn.returncode == 0, drawn.stderr
    wanted = [
        "INVITE 8000", "100 Trying", "200 OK",
        f"INVITE {SECOND}", "180 Ringing", "200 Answering", "ACK",
        "BYE", "200 OK (BYE)", "outcome: answered: caller_hangup",
    ]  # fmt: skip
    rest = drawn.stdout
    for text in wanted:
        _, found, rest = rest.partition(text)
        assert found, f"{text} is not there, or not in its place:\n{drawn.stdout}"
    steps = ask(lab, "call", uid, "--ladder")["ladder"]
    assert [step["at_s"] for step in steps] == sorted(step["at_s"] for step in steps)
    assert {step["leg_id"] for step in steps} == {f"{uid}.1", f"{uid}.2"}


def test_nothing_is_left_when_all_calls_are_over(lab: Lab) -> None:
    wait_for(lambda: not lab.left(), timeout_s=45, what="transactions, dialogs, calls and sessions gone")
