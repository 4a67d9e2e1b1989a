"""Bindings: expiry, lost flows, and what other nodes told."""

from __future__ import annotations

from common.contracts.agents import Binding
from tas.registrar.bindings import Bindings, Contact, topic_key
from tas.registrar.registrar import contact_key
from tests.unit.tas.registrar.support import BINDING, Phone, events_of, make_registrar, tcp, udp


def binding(node: str = "tas-2", port: int = 5060, instance: str = "") -> Binding:
    return Binding("1001", node, f"sip:1001@192.0.2.9:{port}", "192.0.2.9", port, "udp", instance)


def contact(key: str = "a", expires_at: float = 100.0, port: int = 5060, registered_at: float = 0.0) -> Contact:
    return Contact(key, binding("tas-1", port), udp(), b"reg-1", 1, registered_at, expires_at)


# Expiry.


def test_contact_ends_at_its_time_and_not_before() -> None:
    phone = Phone(make_registrar())
    phone.register(BINDING, expires=60)
    events_of(phone.registrar)
    assert phone.registrar.next_timeout() == phone.now + 60
    phone.registrar.handle_timeout(phone.now + 59.9)
    assert events_of(phone.registrar) == []
    phone.registrar.handle_timeout(phone.now + 60)
    assert events_of(phone.registrar) == [("-", "sip:1001@192.0.2.9:5060", True)]
    assert (len(phone.registrar.bindings), phone.registrar.next_timeout()) == (0, None)


def test_refreshed_contact_lives_on() -> None:
    phone = Phone(make_registrar())
    phone.register(BINDING, expires=60)
    begin = phone.now
    phone.now += 50
    phone.register(BINDING, expires=60)
    phone.registrar.handle_timeout(begin + 60)
    assert len(phone.registrar.bindings) == 1
    phone.registrar.handle_timeout(begin + 110)
    assert len(phone.registrar.bindings) == 0


def test_contact_refreshed_for_a_shorter_time_ends_then() -> None:
    bindings = Bindings()
    bindings.put("1001", contact(expires_at=3600.0))
    bindings.put("1001", contact(expires_at=60.0))
    assert bindings.take_expired(61.0) == [("1001", "a")]


def test_phone_that_comes_and_goes_leaves_one_entry() -> None:
    bindings = Bindings()
    for number in range(100):
        bindings.put("1001", contact(expires_at=3600.0 + number))
        bindings.remove("1001", "a")
    bindings.put("1001", contact(expires_at=9000.0))
    bindings.take_expired(4000.0)
    assert len(bindings._expiry) == 1


def test_contact_that_ended_meanwhile_does_not_expire() -> None:
    bindings = Bindings()
    bindings.put("1001", contact())
    bindings.remove("1001", "a")
    assert bindings.take_expired(1000.0) == []
    assert bindings.next_timeout() is None


def test_removing_what_is_not_there_gives_nothing() -> None:
    bindings = Bindings()
    assert bindings.remove("1001", "a") is None
    bindings.put("1001", contact())
    assert bindings.remove("1001", "b") is None
    assert len(bindings) == 1


def test_put_says_whether_more_than_the_time_changed() -> None:
    bindings = Bindings()
    assert bindings.put("1001", contact())
    assert not bindings.put("1001", contact(expires_at=200.0))
    assert bindings.put("1001", contact(port=5061))
    assert len(bindings) == 1


# Flows.


def test_contact_of_a_lost_connection_ends_and_udp_ones_stay() -> None:
    registrar = make_registrar()
    phone, desk = Phone(registrar, flow=tcp()), Phone(registrar, call_id=b"reg-2")
    phone.register(BINDING)
    desk.register(b"<sip:1001@192.0.2.9:5070>")
    events_of(registrar)
    registrar.end_lost_flows()
    assert events_of(registrar) == []
    phone.flow.alive = False
    registrar.end_lost_flows()
    assert events_of(registrar) == [("-", "sip:1001@192.0.2.9:5060", False)]


def test_phone_that_registered_anew_on_another_connection_does_not_end_with_the_old_one() -> None:
    registrar = make_registrar()
    phone = Phone(registrar, flow=tcp(1))
    phone.register(BINDING)
    old, phone.flow = phone.flow, tcp(2)
    phone.register(BINDING)
    old.alive = False
    events_of(registrar)
    registrar.end_lost_flows()
    assert events_of(registrar) == []
    assert len(registrar.bindings) == 1


# Other nodes.


def test_bindings_of_other_nodes_are_kept_apart_by_node_and_key() -> None:
    bindings = Bindings()
    bindings.put_remote("a", binding("tas-2"), 1.0)
    bindings.put_remote("a", binding("tas-3"), 1.0)
    bindings.put_remote("b", binding("tas-2", 5061), 1.0)
    bindings.put_remote("b", binding("tas-2", 5062), 1.0)
    assert [(found.node, found.port) for found in bindings.remote("1001")] == [
        ("tas-2", 5060), ("tas-3", 5060), ("tas-2", 5062),
    ]  # fmt: skip
    assert len(bindings) == 0


def test_ended_bindings_of_other_nodes_are_forgotten() -> None:
    bindings = Bindings()
    bindings.put_remote("a", binding("tas-2"), 1.0)
    bindings.remove_remote("tas-3", "1001", "a")
    bindings.remove_remote("tas-2", "1002", "a")
    assert len(bindings.remote("1001")) == 1
    bindings.remove_remote("tas-2", "1001", "a")
    bindings.remove_remote("tas-2", "1001", "a")
    assert (bindings.remote("1001"), bindings._remote) == ([], {})


def test_all_own_is_what_a_snapshot_tells() -> None:
    bindings = Bindings()
    bindings.put("1001", contact("a"))
    bindings.put("1001", contact("b", port=5061))
    assert [found.port for found in bindings.all_own()] == [5060, 5061]


# Keys.


def test_topic_key_is_one_level_and_differs_by_contact() -> None:
    keys = {topic_key(contact_key(binding(port=port))) for port in range(5060, 5160)}
    assert len(keys) == 100
    assert all(key.isalnum() for key in keys)


def test_key_of_a_binding_is_its_instance_or_its_address() -> None:
    assert contact_key(binding(instance="<urn:uuid:1>")) == "<urn:uuid:1>"
    assert contact_key(binding(port=5061)) == "1001@192.0.2.9:5061"


def test_newest_is_where_the_phone_registered_last_here_or_elsewhere() -> None:
    bindings = Bindings()
    assert bindings.newest("1001") is None
    here = contact(registered_at=5.0)
    bindings.put("1001", here)
    bindings.put_remote("a", binding("tas-2"), 4.0)
    assert bindings.newest("1001") == (here.binding, here.flow)
    bindings.put_remote("b", binding("tas-3"), 6.0)
    assert bindings.newest("1001") == (binding("tas-3"), None)
    back = contact(registered_at=7.0)
    bindings.put("1001", back)
    assert bindings.newest("1001") == (back.binding, back.flow)
    back.flow.alive = False
    assert bindings.newest("1001") == (binding("tas-3"), None)


def test_binding_told_again_is_no_newer() -> None:
    bindings = Bindings()
    bindings.put_remote("a", binding("tas-2"), 1.0)
    bindings.put_remote("b", binding("tas-3"), 2.0)
    bindings.put_remote("a", binding("tas-2"), 3.0)
    assert bindings.newest("1001") == (binding("tas-3"), None)
