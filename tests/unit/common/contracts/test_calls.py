"""Events, commands and views of calls: whole over the wire, strict in their kinds."""

from __future__ import annotations

import typing

import msgspec
import pytest

from common.contracts import calls
from common.contracts.agents import AgentState, AgentView, Binding, DeviceState, SystemReason
from common.contracts.calls import AgentCallPhase, CommandBatch, EventBatch, OfferResult
from common.contracts.envelopes import Envelope, Presence
from common.contracts.ids import CallUid, OfferId
from common.contracts.outcome import Outcome, Reason, Result

UID = CallUid("tas-1-19ab-00")
OFFER = OfferId("o1")
BINDING = Binding("1001", "tas-1", "sip:1001@192.0.2.9:5070", "192.0.2.9", 5070, "udp", "urn:x", "phone/1", "<sip:p>")
EVENTS: list[calls.NodeEvent] = [
    calls.CallQueued(UID, "support", "+46 8#*", 12.5, "8000"),
    calls.CallDequeued(UID, "support", "caller_hangup", 1.5),
    calls.OfferReport(OFFER, UID, "1001", OfferResult.REFUSED, "stale epoch"),
    calls.AgentCall("1001", UID, AgentCallPhase.TALKING, "+46 8#*", "support"),
    calls.PhoneRegistered(BINDING),
    calls.PhoneUnregistered(BINDING, last=True),
    calls.CallEnded(UID, "support", "answered", "caller_hangup"),
    calls.NodeReport(3, False, 10, [calls.MediaServerView("media-1", "up", 5, 500, 77)]),
    calls.Snapshot([BINDING], [calls.CallQueued(UID, "support", "1")], [], []),
]
COMMANDS: list[calls.NodeCommand] = [
    calls.Offer(OFFER, UID, "1001", 15.0),
    calls.OfferCancel(OFFER, UID),
    calls.QueueRefused(UID, "support", "queue_full"),
    calls.SnapshotRequest(),
    calls.HangUp(UID),
]


def test_all_events_of_a_turn_come_back_in_order() -> None:
    batch = EventBatch(EVENTS)
    assert msgspec.json.decode(msgspec.json.encode(batch), type=EventBatch) == batch
    assert {type(event) for event in EVENTS} == set(typing.get_args(calls.NodeEvent))


def test_all_commands_come_back_in_order() -> None:
    batch = CommandBatch(COMMANDS)
    assert msgspec.json.decode(msgspec.json.encode(batch), type=CommandBatch) == batch
    assert {type(command) for command in COMMANDS} == set(typing.get_args(calls.NodeCommand))


def test_kinds_are_told_apart_by_their_written_names() -> None:
    names = [msgspec.to_builtins(message)["type"] for message in [*EVENTS, *COMMANDS]]
    assert len(set(names)) == len(names)


def test_command_is_no_event_and_an_unknown_kind_is_refused() -> None:
    for body in (b'{"events":[{"type":"snapshot.request"}]}', b'{"events":[{"type":"call.teleported"}]}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(body, type=EventBatch)


def test_field_of_a_later_version_is_passed_over() -> None:
    body = b'{"commands":[{"type":"call.hangup","call_uid":"c","because":"later"}]}'
    assert msgspec.json.decode(body, type=CommandBatch) == CommandBatch([calls.HangUp(CallUid("c"))])


def test_call_view_and_ladder_come_back_as_they_were() -> None:
    leg = calls.LegView(f"{UID}.1", "abc@h", "192.0.2.1:5060", "in", "confirmed", "media-1", "PCMA")
    view = calls.CallView(UID, "tas-1", "talking", "+46 8#*", "8000", "support", "1001", 3.25, [leg], "answered")
    step = calls.LadderStep(0.25, leg.leg_id, True, "192.0.2.1:5060", "SIP/2.0 180 Ringing", "1 INVITE")
    assert msgspec.json.decode(msgspec.json.encode(view), type=calls.CallView) == view
    assert msgspec.json.decode(msgspec.json.encode(step), type=calls.LadderStep) == step


def test_agent_view_writes_the_words_of_the_vocabulary() -> None:
    view = AgentView(
        agent="1001",
        name="Åsa",
        state=AgentState.WRAP_UP,
        reason=SystemReason.RNA,
        origin="system",
        state_s=0.5,
        device=DeviceState.IN_USE,
        node="tas-1",
        edge="tas-2",
        queues=["support"],
    )
    written = msgspec.to_builtins(view)
    assert (written["state"], written["reason"], written["device"]) == ("WrapUp", "RNA", "in_use")
    assert msgspec.json.decode(msgspec.json.encode(view), type=AgentView) == view


def test_user_reasons_never_look_like_system_reasons() -> None:
    assert not any(reason.isdigit() for reason in SystemReason)


def test_envelope_keeps_its_body_raw_and_leaves_out_what_is_usual() -> None:
    envelope = Envelope("tas-1", "a1", 5, msgspec.Raw(b'{"events":[]}'))
    encoded = msgspec.json.encode(envelope)
    assert encoded == b'{"src":"tas-1","inc":"a1","seq":5,"body":{"events":[]}}'
    decoded = msgspec.json.decode(encoded, type=Envelope)
    assert (decoded.epoch, decoded.cid, decoded.reply_to, decoded.exp) == (0, "", "", 0.0)
    assert msgspec.json.decode(decoded.body, type=EventBatch) == EventBatch([])


def test_presence_tells_where_a_node_is() -> None:
    presence = Presence("tas-1", "tas", "a1", "up", "192.0.2.1:5060", "192.0.2.1:9101")
    assert msgspec.json.decode(msgspec.json.encode(presence), type=Presence) == presence
    assert b"leader_epoch" not in msgspec.json.encode(presence)


def test_outcome_comes_back_and_its_words_fit_the_cdr() -> None:
    outcome = Outcome(Result.ABANDONED, Reason.CALLER_HANGUP, 200, 16)
    assert msgspec.json.decode(msgspec.json.encode(outcome), type=Outcome) == outcome
    assert max(map(len, Result)) <= 16
    assert max(map(len, Reason)) <= 32
