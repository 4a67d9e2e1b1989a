"""The node: requests outside calls, the bus, what the brokers hear and when."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from common.contracts import topics
from common.contracts.agents import Binding
from common.contracts.calls import (
    CallQueued,
    CommandBatch,
    HangUp,
    NodeReport,
    Offer,
    OfferResult,
    PhoneRegistered,
    PhoneUnregistered,
    Snapshot,
    SnapshotRequest,
)
from common.contracts.envelopes import Envelope, Presence
from common.contracts.ids import OfferId
from common.service.bus.memory import MemoryBus
from tas.node import LAZY_FLUSH_S, REPORT_INTERVAL_S
from tas.routing.trunks import FIRST_OPTIONS_S, OPTIONS_RETRY_S
from tests.unit.tas.rig import Rig, configure
from tests.unit.tas.sip.support import header, make_request, start_line

OFFER_ID = OfferId("o")


def broker(rig: Rig) -> MemoryBus:
    """A broker's end of the bus."""
    bus = MemoryBus(rig.hub, "broker-1", "b1")
    bus.connect()
    return bus


def command(rig: Rig, *commands: Any, epoch: int = 1) -> None:
    """Commands of a broker arrive."""
    body = msgspec.Raw(msgspec.json.encode(CommandBatch(list(commands))))
    rig.node.on_commands("", Envelope("broker-1", "b1", 1, body, epoch), rig.now)
    rig.turn()


def final(rig: Rig) -> bytes:
    (answer,) = [data for data in rig.sent() if not data.startswith(b"SIP/2.0 100")]
    return answer


# SIP outside calls.


def test_options_is_answered_with_what_the_node_takes() -> None:
    rig = Rig()
    rig.receive(make_request(b"OPTIONS"))
    answer = final(rig)
    assert start_line(answer) == b"200"
    assert b"INVITE" in header(answer, b"Allow")
    assert header(answer, b"Accept") == b"application/sdp"
    rig.rest()


def test_draining_node_answers_options_with_503() -> None:
    rig = Rig()
    rig.control.draining = True
    rig.receive(make_request(b"OPTIONS"))
    answer = final(rig)
    assert (start_line(answer), header(answer, b"Retry-After")) == (b"503", b"5")


def test_draining_node_sends_new_phones_away_and_keeps_those_it_knows() -> None:
    rig = Rig()
    rig.control.draining = True
    rig.receive(make_request(b"REGISTER", uri=b"sip:opentas", to=b"<sip:1001@opentas>"))
    assert start_line(final(rig)) == b"503"
    rig.register()
    assert start_line(final(rig)) == b"200"


@pytest.mark.parametrize("method", [b"SUBSCRIBE", b"MESSAGE", b"PUBLISH"])
def test_method_the_node_does_not_serve_is_refused_with_those_it_does(method: bytes) -> None:
    rig = Rig()
    rig.receive(make_request(method))
    answer = final(rig)
    assert start_line(answer) in (b"405", b"501", b"489")
    assert b"INVITE" in header(answer, b"Allow")
    rig.rest()


def test_register_is_challenged_and_then_taken() -> None:
    rig = Rig()
    rig.receive(make_request(b"REGISTER", uri=b"sip:opentas", to=b"<sip:1001@opentas>"))
    assert start_line(final(rig)) == b"401"
    rig.register()
    assert start_line(final(rig)) == b"200"
    rig.rest()


# Trunks.


def test_trunk_is_asked_and_down_until_it_answers() -> None:
    rig = Rig(configure(options_interval_s=30))
    trunk = rig.trunks.by_name["pbx"]
    rig.pass_time(FIRST_OPTIONS_S)
    (options,) = rig.sent()
    assert (start_line(options), header(options, b"To")) == (b"OPTIONS", b"<sip:192.0.2.9:5080>")
    rig.answer(options, 503)
    assert not trunk.up
    rig.pass_time(OPTIONS_RETRY_S)
    (again,) = rig.sent()
    rig.answer(again, 200)
    assert trunk.up
    rig.pass_time(29)
    assert rig.sent() == []
    rig.pass_time(1.1)
    assert [start_line(data) for data in rig.sent()] == [b"OPTIONS"]


def test_trunk_that_never_answers_is_down_after_the_transactions_time_out() -> None:
    rig = Rig(configure(options_interval_s=30))
    rig.pass_time(33)
    assert not rig.trunks.by_name["pbx"].up
    assert rig.node.counts()["options"] == 0


# The bus: what is heard.


def test_offer_on_the_bus_rings_the_agent() -> None:
    rig = Rig()
    rig.register()
    call = rig.call()
    rig.sent()
    command(rig, Offer(OFFER_ID, call.uid, "1001", 15.0))
    assert rig.starts() == [b"INVITE"]


def test_command_of_a_deposed_leader_is_refused_and_counted() -> None:
    rig = Rig()
    call = rig.call()
    command(rig, SnapshotRequest(), epoch=7)
    command(rig, HangUp(call.uid), epoch=6)
    assert call.uid in rig.control.calls
    assert (rig.node.highest_epoch, rig.node.refused_commands) == (7, 1)
    command(rig, HangUp(call.uid), epoch=7)
    assert call.uid not in rig.control.calls


def test_cleared_command_topic_means_nothing() -> None:
    rig = Rig()
    rig.node.on_commands("", None, rig.now)
    assert rig.node.highest_epoch == 0


def test_binding_of_another_node_is_known_until_it_is_cleared() -> None:
    rig = Rig()
    there = Binding("1002", "tas-2", "sip:1002@192.0.2.77", "192.0.2.77", 5060, "udp")
    topic = topics.binding("tas-2", "1002", "abcd")
    body = msgspec.Raw(msgspec.json.encode(there))
    rig.node.on_binding(topic, Envelope("tas-2", "x", 1, body), rig.now)
    assert rig.registrar.bindings.remote("1002") == [there]
    rig.node.on_binding(topic, None, rig.now)
    assert rig.registrar.bindings.remote("1002") == []


def test_binding_of_a_former_life_is_cleared_and_one_of_this_life_stays() -> None:
    rig = Rig()
    rig.register()
    heard: list[tuple[str, bool]] = []
    other = broker(rig)
    other.subscribe(topics.ALL_BINDINGS, lambda topic, envelope: heard.append((topic, envelope is not None)))
    (topic,) = [topic for topic, _ in heard]
    old = Binding("1001", "tas-1", "sip:1001@192.0.2.50", "192.0.2.50", 5060, "udp")
    former = Envelope("tas-1", "former-life", 1, msgspec.Raw(msgspec.json.encode(old)))
    heard.clear()
    rig.node.on_binding(topics.binding("tas-1", "1001", "0000abcd"), former, rig.now)
    rig.node.on_binding(topic, former, rig.now)  # the same phone, registered again in this life
    rig.turn()
    assert heard == [(topics.binding("tas-1", "1001", "0000abcd"), False)]


def test_other_nodes_are_peers_by_their_presence() -> None:
    rig = Rig()
    for node, address in (("tas-2", "192.0.2.2:5070"), ("tas-1", "192.0.2.1:5060"), ("tas-3", "")):
        body = msgspec.Raw(msgspec.json.encode(Presence(node, "tas", "x", "up", address)))
        rig.node.on_presence("", Envelope(node, "x", 1, body))
    assert rig.node.is_peer(("192.0.2.2", 5070))
    assert not rig.node.is_peer(("192.0.2.1", 5060))
    assert not rig.node.is_peer(("192.0.2.2", 5071))


def test_address_over_tls_is_a_peers_too_while_it_tells_it() -> None:
    rig = Rig()
    for tls, peer in (("192.0.2.2:5071", True), ("", False)):
        body = msgspec.Raw(msgspec.json.encode(Presence("tas-2", "tas", "x", "up", "192.0.2.2:5070", sip_tls=tls)))
        rig.node.on_presence("", Envelope("tas-2", "x", 1, body))
        assert rig.node.is_peer(("192.0.2.2", 5071)) is peer
        assert rig.node.is_peer(("192.0.2.2", 5070))


# The bus: what is told.


def test_phone_that_comes_and_goes_is_told_and_its_binding_retained_and_cleared() -> None:
    rig = Rig()
    heard: list[tuple[str, bool]] = []
    broker(rig).subscribe(topics.ALL_BINDINGS, lambda topic, envelope: heard.append((topic, envelope is not None)))
    rig.register()
    (registered,) = rig.told()
    assert isinstance(registered, PhoneRegistered)
    rig.now += 1
    rig.register(expires=0)
    (ended,) = rig.told()
    assert isinstance(ended, PhoneUnregistered)
    assert ended.last
    (made, there), (cleared, here) = heard
    assert (made, there, here) == (cleared, True, False)
    assert made.startswith("opentas/1/bindings/tas-1/1001/")


def test_what_agents_wait_for_is_told_at_once_and_the_rest_soon() -> None:
    rig = Rig()
    call = rig.call()
    assert [type(event) for event in rig.told()] == [CallQueued]
    rig.control.hang_up(call.uid, rig.now)
    rig.turn()
    assert [type(event).__name__ for event in rig.told()] == ["CallDequeued", "CallEnded"]
    rig.call(b"9196", call_id=b"call-2")
    rig.control.hang_up(next(iter(rig.control.calls)), rig.now)
    rig.turn()
    assert rig.told() == []
    rig.pass_time(LAZY_FLUSH_S)
    assert [type(event).__name__ for event in rig.told()] == ["CallEnded"]


def test_load_and_heartbeat_are_told_every_second() -> None:
    rig = Rig()
    reports: list[NodeReport] = []
    beats: list[str] = []
    other = broker(rig)
    other.subscribe(topics.heartbeat("tas", "tas-1"), lambda _topic, envelope: beats.append(state_in(envelope)))
    other.subscribe(topics.node_events("tas-1"), lambda _topic, envelope: reports.extend(reports_in(envelope)))
    rig.pass_time(2 * REPORT_INTERVAL_S + LAZY_FLUSH_S)
    rig.control.draining = True
    rig.pass_time(REPORT_INTERVAL_S)
    assert beats == ["up", "up", "draining"]
    assert [report.draining for report in reports] == [False, False, True]
    assert [view.server for view in reports[0].media] == ["media-1"]


def state_in(envelope: Envelope | None) -> str:
    assert envelope is not None
    return msgspec.json.decode(envelope.body, type=Presence).state


def reports_in(envelope: Envelope | None) -> list[NodeReport]:
    assert envelope is not None
    events = msgspec.json.decode(envelope.body)["events"]
    return [msgspec.convert(event, NodeReport) for event in events if event["type"] == "node.report"]


def test_snapshot_has_bindings_waiting_calls_and_open_offers() -> None:
    rig = Rig()
    rig.register()
    first = rig.call()
    rig.call(b"9196", call_id=b"call-2")
    rig.pass_time(5.0)
    command(rig, Offer(OFFER_ID, first.uid, "1001", 15.0))
    rig.told()
    command(rig, SnapshotRequest())
    (snapshot,) = rig.told()
    assert isinstance(snapshot, Snapshot)
    assert [binding.aor for binding in snapshot.bindings] == ["1001"]
    assert snapshot.queued == [CallQueued(first.uid, "support", "a", 5.0, "8000")]
    assert [(report.offer, report.result) for report in snapshot.offers] == [("o", OfferResult.RINGING)]
    assert snapshot.agent_calls == []


def test_bus_that_comes_back_hears_presence_bindings_and_a_snapshot_first() -> None:
    rig = Rig()
    rig.node.bus.on_connection(lambda connected: rig.node.on_connection(connected, rig.now))  # as the process does
    rig.register()
    rig.bus.disconnect()
    rig.turn()
    call = rig.call()
    rig.turn()
    rig.told()
    rig.bus.connect()
    rig.turn()
    events = rig.told()
    assert isinstance(events[0], Snapshot)
    assert [queued.call_uid for queued in events[0].queued] == [call.uid]
    retained: list[str] = []
    broker(rig).subscribe(topics.presence("tas", "tas-1"), lambda _topic, envelope: retained.append(state_in(envelope)))
    assert retained == ["up"]


# Time.


def test_node_without_media_phones_and_trunks_still_beats() -> None:
    rig = Rig()
    rig.link.connection_lost(rig.now)
    rig.pass_time(10 * REPORT_INTERVAL_S)
    assert rig.node.next_timeout() > rig.now


def test_phones_of_a_lost_connection_are_ended_within_a_second() -> None:
    rig = Rig()
    rig.register()
    rig.told()
    (contact,) = rig.registrar.bindings.contacts("1001").values()
    contact.flow.alive = False
    rig.pass_time(REPORT_INTERVAL_S)
    assert [type(event) for event in rig.told()] == [PhoneUnregistered]


def test_registration_that_is_not_refreshed_is_ended_at_its_time() -> None:
    rig = Rig()
    rig.register(expires=60)
    rig.told()
    rig.pass_time(59)
    assert rig.told() == []
    rig.pass_time(1.5)
    assert [type(event) for event in rig.told()] == [PhoneUnregistered]
    rig.rest()
