"""The call control: admission, commands of brokers, news of media servers."""

from __future__ import annotations

import pytest

from common.contracts.calls import HangUp, Offer, OfferCancel, OfferReport, OfferResult, QueueRefused
from common.contracts.ids import CallUid, OfferId, SessionId
from common.contracts.media import Digit, RtpTimeout
from tas.calls import table
from tas.calls.call import Call
from tas.media.link import MediaLink
from tests.unit.tas.media.support import HELLO, welcome
from tests.unit.tas.rig import OFFER, Rig, configure

OFFER_ID, NO_CALL = OfferId("o"), CallUid("no-such-call")


def refused(rig: Rig) -> tuple[bytes, bytes]:
    """Status and Retry-After of the only final answer."""
    (answer,) = [data for data in rig.sent() if not data.startswith(b"SIP/2.0 100")]
    _, _, rest = answer.partition(b"Retry-After: ")
    return answer.split(b" ")[1], rest.partition(b"\r\n")[0]


def queued(rig: Rig) -> Call:
    call = rig.call()
    rig.in_dialog(b"ACK", cseq=1)
    rig.told()
    return call


# Admission.


def test_trunks_caller_is_believed_and_has_its_asserted_number() -> None:
    call = Rig().call(extra=b"P-Asserted-Identity: <sip:0451234@pbx>\r\n")
    assert (call.caller.number, call.trunk, call.direction, call.from_agent) == ("0451234", "pbx", "in", "")


def test_caller_without_an_asserted_number_is_the_one_in_from() -> None:
    call = Rig().call(from_=b'"Anna" <sip:0459999@pbx>;tag=1')
    assert (call.caller.number, call.from_display) == ("0459999", b"Anna")


@pytest.mark.parametrize(
    ("from_", "number"),
    [(b"<sip:pbx.example>;tag=1", "anonymous"), (b"<tel:+45123>;tag=1", "+45123"), (b"<sip:%2B45@x>;tag=1", "+45")],
)
def test_number_of_the_caller_in_every_way_it_is_written(from_: bytes, number: str) -> None:
    assert Rig().call(from_=from_).caller.number == number


def test_asserted_identity_with_a_comma_in_its_name() -> None:
    call = Rig().invite(extra=b'P-Asserted-Identity: "Doe, Jane" <sip:0451234@pbx>\r\n')
    assert call is not None
    assert call.caller.number == "0451234"


def test_second_asserted_identity_is_not_looked_at() -> None:
    call = Rig().call(extra=b"P-Asserted-Identity: <sip:0451234@pbx>, <tel:+45999>\r\n")
    assert call.caller.number == "0451234"


def test_malformed_caller_is_400() -> None:
    rig = Rig()
    assert rig.invite(extra=b"P-Asserted-Identity: <sip:0451234@pbx\r\n") is None
    assert refused(rig) == (b"400", b"")
    rig.rest()


def test_call_beyond_the_limit_is_503() -> None:
    rig = Rig(configure(max_calls=1))
    queued(rig)
    rig.sent()
    assert rig.invite(call_id=b"call-2") is None
    assert refused(rig) == (b"503", b"5")


def test_trunk_takes_as_many_calls_as_it_has_channels() -> None:
    rig = Rig(configure(max_channels=2))
    rig.invite()
    rig.invite(call_id=b"call-2")
    rig.sent()
    assert rig.invite(call_id=b"call-3") is None
    assert refused(rig) == (b"503", b"5")
    for call in list(rig.control.calls.values()):
        rig.control.hang_up(call.uid, rig.now)
    rig.turn()
    assert rig.trunks.by_name["pbx"].channels == 0


def test_refused_call_gives_its_channel_back() -> None:
    rig = Rig()
    rig.invite(b"4711")
    assert refused(rig)[0] == b"404"
    rig.rest()


def test_draining_node_takes_no_call() -> None:
    rig = Rig()
    rig.control.draining = True
    assert rig.invite() is None
    assert refused(rig) == (b"503", b"5")


def test_no_media_server_is_503() -> None:
    rig = Rig()
    rig.link.connection_lost(rig.now)
    assert rig.invite() is None
    assert refused(rig) == (b"503", b"5")
    assert [row.media_server for row in rig.rows] == [""]


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"rubbish", b"400"), (OFFER.replace(b" 8 101", b" 18"), b"488"), (OFFER.replace(b"audio", b"video"), b"488")],
)
def test_unusable_offer_is_refused(body: bytes, status: bytes) -> None:
    rig = Rig()
    assert rig.invite(body=body) is None
    assert refused(rig)[0] == status
    rig.rest()


# Commands.


def test_offer_for_an_unknown_call_is_refused_by_name() -> None:
    rig = Rig()
    rig.control.receive_command(Offer(OFFER_ID, NO_CALL, "1001", 15.0), rig.now)
    rig.turn()
    assert rig.told() == [OfferReport(OFFER_ID, NO_CALL, "1001", OfferResult.REFUSED, "unknown call")]


def test_offer_for_a_call_that_does_not_wait_says_what_it_does() -> None:
    rig = Rig()
    call = rig.call(b"9196")
    rig.told()
    rig.control.receive_command(Offer(OFFER_ID, call.uid, "1001", 15.0), rig.now)
    rig.turn()
    assert rig.told() == [OfferReport(OFFER_ID, call.uid, "1001", OfferResult.REFUSED, "call is treatment")]


def test_offer_to_an_agent_without_a_phone_is_unreachable_and_the_call_waits_on() -> None:
    rig = Rig()
    call = queued(rig)
    rig.control.receive_command(Offer(OFFER_ID, call.uid, "1001", 15.0), rig.now)
    rig.turn()
    (report,) = rig.told()
    assert (report.result, report.detail) == (OfferResult.UNREACHABLE, "no binding")
    assert call.state == table.QUEUED


def test_cancel_of_another_offer_changes_nothing() -> None:
    rig = Rig()
    rig.register()
    call = queued(rig)
    rig.control.receive_command(Offer(OFFER_ID, call.uid, "1001", 15.0), rig.now)
    rig.turn()
    rig.control.receive_command(OfferCancel(OfferId("other"), call.uid), rig.now)
    assert call.state == table.OFFERING


def test_cancelled_offer_is_forgotten() -> None:
    rig = Rig()
    rig.register()
    call = queued(rig)
    rig.control.receive_command(Offer(OFFER_ID, call.uid, "1001", 15.0), rig.now)
    rig.turn()
    rig.control.receive_command(OfferCancel(OFFER_ID, call.uid), rig.now)
    rig.turn()
    assert (call.state, call.offer, call.agent, call.timers) == (table.QUEUED, None, "", {})
    assert rig.node.snapshot(rig.now).offers == []


@pytest.mark.parametrize(("why", "reason"), [("full", "queue_full"), ("joinempty", "queue_unavailable")])
def test_queue_that_refuses_releases_the_caller(why: str, reason: str) -> None:
    rig = Rig()
    call = queued(rig)
    rig.sent()
    rig.control.receive_command(QueueRefused(call.uid, "support", why), rig.now)
    rig.turn()
    assert rig.starts() == [b"BYE"]
    assert [row.reason for row in rig.rows] == [reason]


def test_commands_for_calls_that_are_gone_are_ignored() -> None:
    rig = Rig()
    for command in (OfferCancel(OFFER_ID, NO_CALL), QueueRefused(NO_CALL, "support", "full"), HangUp(NO_CALL)):
        rig.control.receive_command(command, rig.now)
    rig.turn()
    assert rig.told() == []
    assert not rig.control.hang_up(NO_CALL, rig.now)


# News of media servers.


def test_news_of_a_session_that_is_elsewhere_is_ignored() -> None:
    rig = Rig()
    call = queued(rig)
    other = MediaLink("media-2", HELLO, rig.control)
    rig.control.on_media_notification(other, RtpTimeout(call.caller.session, 30.0), rig.now)
    rig.control.on_media_notification(rig.link, Digit(SessionId("no-such-call.1"), "1", 100), rig.now)
    assert call.state == table.QUEUED


def test_silent_caller_is_ended() -> None:
    rig = Rig()
    call = queued(rig)
    rig.server.tell("session.rtp_timeout", RtpTimeout(call.caller.session, 30.0))
    rig.turn()
    assert [row.reason for row in rig.rows] == ["rtp_timeout"]


def test_session_is_known_while_its_call_has_it_there() -> None:
    rig = Rig()
    call = queued(rig)
    knows = rig.control.knows_session
    assert knows(rig.link, call.caller.session)
    assert not knows(rig.link, f"{call.uid}.2")
    assert not knows(rig.link, "other-call.1")
    assert not knows(MediaLink("media-2", HELLO, rig.control), call.caller.session)


def test_session_made_behind_a_broken_link_is_ended_when_the_link_is_back() -> None:
    rig = Rig()
    rig.silent = True
    rig.invite()
    (create,) = rig.open
    session = rig.asked()[-1][1]["session"]
    rig.link.connection_lost(rig.now)
    rig.turn()
    assert create.method == "session.create"
    rig.link.connection_made(rig.now)
    (hello,) = rig.server.requests()
    rig.server.reply(hello, welcome(sessions=[session]))
    (delete,) = rig.server.requests()
    assert delete.method == "session.delete"


def test_every_call_ends_when_the_process_stops() -> None:
    rig = Rig()
    for number in range(3):
        rig.invite(call_id=b"call-%d" % number)
    rig.invite(b"9196", call_id=b"call-9")
    rig.control.hang_up_all(rig.now)
    rig.turn()
    assert len(rig.control.calls) == 0
    assert len(rig.rows) == 4
