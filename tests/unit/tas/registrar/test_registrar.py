"""REGISTER requests and their answers (RFC 3261 10.3)."""

from __future__ import annotations

import pytest

from common.contracts.agents import Binding
from common.contracts.calls import PhoneRegistered
from tas.registrar.registrar import MAX_EXPIRES_S, MIN_EXPIRES_S
from tas.sip.flow import Flow
from tests.unit.tas.registrar.support import (
    BINDING,
    Phone,
    events_of,
    listed,
    make_registrar,
    register_request,
    tcp,
    udp,
)

A, B, C, D = (b"<sip:1001@192.0.2.9:%d>" % port for port in (5061, 5062, 5063, 5064))


def instance(port: int, urn: bytes = b"urn:uuid:1", tail: bytes = b"") -> bytes:
    return b'<sip:1001@192.0.2.9:%d>;+sip.instance="<%b>"%b' % (port, urn, tail)


# Making and refreshing.


def test_registered_phone_is_listed_with_the_time_it_has() -> None:
    phone = Phone(make_registrar())
    assert listed(phone.register(BINDING)) == [b"<sip:1001@192.0.2.9:5060>;expires=3600"]
    assert events_of(phone.registrar) == [("+", "sip:1001@192.0.2.9:5060")]


def test_binding_says_where_the_phone_is_and_what_it_is() -> None:
    phone = Phone(make_registrar(), flow=udp(40123))
    phone.register(instance(5060), extra=b"User-Agent: baresip v1.0.0\r\n")
    (event,) = phone.registrar.take_events()
    assert event == PhoneRegistered(
        Binding("1001", "tas-1", "sip:1001@192.0.2.9:5060", "192.0.2.9", 40123, "udp", "<urn:uuid:1>", "baresip v1.0.0")
    )


def test_phone_on_a_connection_is_reached_by_path() -> None:
    phone = Phone(make_registrar(), flow=tcp(7))
    phone.register(BINDING)
    (event,) = phone.registrar.take_events()
    assert (event.binding.transport, event.binding.path) == ("tcp", "<sip:flow-7@192.0.2.1:5060;lr>")


def test_phone_over_tls_is_told_as_such() -> None:
    phone = Phone(make_registrar(), flow=Flow("tls", ("192.0.2.9", 40000), ("192.0.2.1", 5061), 7))
    phone.register(b"<sip:1001@10.0.0.9:5061;transport=tls>")
    (event,) = phone.registrar.take_events()
    assert isinstance(event, PhoneRegistered)
    assert event.binding.transport == "tls"


def test_long_user_agent_is_cut() -> None:
    phone = Phone(make_registrar())
    phone.register(BINDING, extra=b"User-Agent: %b\r\n" % (b"x" * 500))
    (event,) = phone.registrar.take_events()
    assert event.binding.user_agent == "x" * 80


def test_refresh_that_changes_nothing_tells_nobody() -> None:
    phone = Phone(make_registrar())
    phone.register(BINDING)
    events_of(phone.registrar)
    phone.now += 1800
    assert listed(phone.register(BINDING)) == [b"<sip:1001@192.0.2.9:5060>;expires=3600"]
    assert events_of(phone.registrar) == []


def test_refresh_from_another_address_is_told() -> None:
    phone = Phone(make_registrar())
    phone.register(BINDING)
    phone.flow = udp(50000)
    phone.register(BINDING)
    assert events_of(phone.registrar) == [("+", "sip:1001@192.0.2.9:5060")] * 2
    assert len(phone.registrar.bindings) == 1


def test_contacts_parameter_wins_over_the_expires_header() -> None:
    phone = Phone(make_registrar())
    assert listed(phone.register(BINDING + b";expires=300", expires=600)) == [b"<sip:1001@192.0.2.9:5060>;expires=300"]


def test_expires_header_holds_for_contacts_without_their_own() -> None:
    assert listed(Phone(make_registrar()).register(BINDING, expires=600))[0].endswith(b";expires=600")


@pytest.mark.parametrize("value", [b"abc", b"-1", b"99999999999", b"1.5"])
def test_malformed_expires_counts_as_none_given(value: bytes) -> None:
    answer = Phone(make_registrar()).register(BINDING, extra=b"Expires: %b\r\n" % value)
    assert listed(answer)[0].endswith(b";expires=3600")


def test_longest_time_is_what_the_registrar_allows() -> None:
    answer = Phone(make_registrar()).register(BINDING, expires=MAX_EXPIRES_S + 1)
    assert listed(answer)[0].endswith(b";expires=%d" % MAX_EXPIRES_S)


def test_shortest_time_is_taken_and_one_second_less_is_423() -> None:
    phone = Phone(make_registrar())
    refusal = phone.register(BINDING, expires=MIN_EXPIRES_S - 1)
    assert (refusal.status, refusal.headers) == (423, [(b"min-expires", b"60")])
    assert events_of(phone.registrar) == []
    assert phone.register(BINDING, expires=MIN_EXPIRES_S).status == 200


def test_one_bad_contact_refuses_all_and_changes_nothing() -> None:
    phone = Phone(make_registrar())
    assert phone.register(A, B + b";expires=10").status == 423
    assert (len(phone.registrar.bindings), events_of(phone.registrar)) == (0, [])


def test_request_without_contact_asks_for_what_is_there() -> None:
    phone = Phone(make_registrar())
    phone.register(A, B)
    phone.now += 100
    assert listed(phone.register()) == [A + b";expires=3500", B + b";expires=3500"]


def test_contacts_of_one_line_are_several() -> None:
    assert len(listed(Phone(make_registrar()).register(A + b", " + B))) == 2


# Ending.


def test_expires_zero_ends_the_contact() -> None:
    phone = Phone(make_registrar())
    phone.register(A)
    events_of(phone.registrar)
    assert listed(phone.register(A, expires=0)) == []
    assert events_of(phone.registrar) == [("-", "sip:1001@192.0.2.9:5061", True)]
    assert phone.registrar.bindings.contacts("1001") == {}


def test_ending_one_of_two_says_that_another_is_left() -> None:
    phone = Phone(make_registrar())
    phone.register(A, B)
    events_of(phone.registrar)
    phone.register(A + b";expires=0")
    assert events_of(phone.registrar) == [("-", "sip:1001@192.0.2.9:5061", False)]


def test_ending_what_is_not_there_is_200() -> None:
    phone = Phone(make_registrar())
    assert listed(phone.register(A, expires=0)) == []
    assert events_of(phone.registrar) == []


def test_new_contact_and_the_end_of_the_old_one_in_one_request() -> None:
    """Linphone, when its address changed."""
    phone = Phone(make_registrar())
    phone.register(A)
    events_of(phone.registrar)
    assert listed(phone.register(B, A + b";expires=0")) == [B + b";expires=3600"]
    assert events_of(phone.registrar) == [
        ("+", "sip:1001@192.0.2.9:5062"),
        ("-", "sip:1001@192.0.2.9:5061", False),
    ]


def test_end_of_the_old_contact_before_the_new_one_does_not_say_last() -> None:
    phone = Phone(make_registrar())
    phone.register(A)
    events_of(phone.registrar)
    phone.register(A + b";expires=0", B)
    assert ("-", "sip:1001@192.0.2.9:5061", True) not in events_of(phone.registrar)


def test_old_address_of_the_same_instance_with_expires_zero_leaves_the_new_one() -> None:
    """Linphone sends both with its instance."""
    phone = Phone(make_registrar())
    phone.register(instance(5061))
    assert listed(phone.register(instance(5062), instance(5061, tail=b";expires=0"))) == [B + b";expires=3600"]


def test_star_ends_all_contacts() -> None:
    phone = Phone(make_registrar())
    phone.register(A, B)
    events_of(phone.registrar)
    assert listed(phone.register(b"*", expires=0)) == []
    assert [event[-1] for event in events_of(phone.registrar)] == [False, True]


@pytest.mark.parametrize("expires", [None, 1, 3600])
def test_star_needs_expires_zero(expires: int | None) -> None:
    phone = Phone(make_registrar())
    phone.register(A)
    assert phone.register(b"*", expires=expires).status == 400
    assert len(phone.registrar.bindings) == 1


def test_star_stands_alone() -> None:
    phone = Phone(make_registrar())
    phone.register(A)
    assert phone.register(b"*", A, expires=0).status == 400
    assert len(phone.registrar.bindings) == 1


def test_old_star_of_the_same_dialog_ends_nothing_newer() -> None:
    phone = Phone(make_registrar())
    phone.register(A, cseq=5)
    assert listed(phone.register(b"*", expires=0, cseq=4)) != []


# Order.


@pytest.mark.parametrize("cseq", [9, 10])
def test_request_that_is_not_newer_than_the_last_is_refused(cseq: int) -> None:
    phone = Phone(make_registrar())
    phone.register(A, cseq=10)
    refusal = phone.register(A, cseq=cseq)
    assert (refusal.status, refusal.reason) == (500, b"CSeq out of order")


def test_old_request_cannot_end_a_newer_contact() -> None:
    phone = Phone(make_registrar())
    phone.register(A, cseq=10)
    assert phone.register(A, cseq=9, expires=0).status == 500
    assert len(phone.registrar.bindings) == 1


def test_phone_that_started_anew_counts_from_one_again() -> None:
    phone = Phone(make_registrar())
    phone.register(A, cseq=100)
    phone.call_id = b"reg-2"
    assert phone.register(A, cseq=1).status == 200


# Keys.


def test_same_address_with_other_parameters_is_the_same_phone() -> None:
    phone = Phone(make_registrar())
    phone.register(b"<sip:1001@192.0.2.9:5061;transport=udp>")
    assert listed(phone.register(b"<sip:1001@192.0.2.9:5061;ob>")) == [b"<sip:1001@192.0.2.9:5061;ob>;expires=3600"]


def test_port_5060_is_the_same_as_none() -> None:
    phone = Phone(make_registrar())
    phone.register(b"<sip:1001@192.0.2.9>")
    assert len(listed(phone.register(b"<sip:1001@192.0.2.9:5060>"))) == 1


def test_instance_is_the_same_phone_at_another_address() -> None:
    phone = Phone(make_registrar())
    phone.register(instance(5061))
    phone.call_id = b"reg-2"
    assert listed(phone.register(instance(5062))) == [B + b";expires=3600"]


def test_other_instance_or_other_flow_of_it_is_another_contact() -> None:
    phone = Phone(make_registrar())
    phone.register(instance(5061))
    assert len(listed(phone.register(instance(5061, b"urn:uuid:2")))) == 2
    assert len(listed(phone.register(instance(5061, tail=b";reg-id=2")))) == 3


# Limits.


def test_one_contact_more_than_allowed_takes_the_place_of_the_one_that_would_end_first() -> None:
    phone = Phone(make_registrar(max_contacts=3))
    assert len(listed(phone.register(A, B + b";expires=60", C))) == 3
    events_of(phone.registrar)
    assert listed(phone.register(D)) == [contact + b";expires=3600" for contact in (A, C, D)]
    assert events_of(phone.registrar) == [
        ("+", "sip:1001@192.0.2.9:5064"),
        ("-", "sip:1001@192.0.2.9:5062", False),
    ]


def test_more_contacts_in_one_request_than_allowed_are_refused() -> None:
    phone = Phone(make_registrar(max_contacts=3))
    refusal = phone.register(A, B, C, D)
    assert (refusal.status, refusal.reason) == (403, b"Too many contacts, at most 3")
    assert len(phone.registrar.bindings) == 0


def test_full_phone_may_refresh_and_may_change_one_contact_for_another() -> None:
    phone = Phone(make_registrar(max_contacts=2))
    phone.register(A, B)
    assert phone.register(A).status == 200
    assert len(listed(phone.register(A + b";expires=0", C))) == 2


# Bad input.


@pytest.mark.parametrize("contact", [b"<sip:1001@192.0.2.9", b'"unclosed <sip:1001@192.0.2.9>'])
def test_malformed_contact_is_400(contact: bytes) -> None:
    phone = Phone(make_registrar())
    assert phone.register(contact).status == 400
    assert len(phone.registrar.bindings) == 0


@pytest.mark.parametrize("contact", [b"<sip:>", b"<1001>", b"<sip:@192.0.2.9>", b"<sip:a@192.0.2.9:99999>"])
def test_malformed_contact_uri_is_400(contact: bytes) -> None:
    phone = Phone(make_registrar())
    assert phone.register(contact).status == 400


def test_malformed_address_of_record_is_400() -> None:
    phone = Phone(make_registrar())
    assert phone.register(A, aor=b"a b").status == 400


def test_request_without_credentials_changes_nothing() -> None:
    registrar = make_registrar()
    assert registrar.register(register_request(A), udp(), 0.0).status == 401
    assert (len(registrar.bindings), registrar.take_events()) == (0, [])
