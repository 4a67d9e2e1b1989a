"""Topic names, with numbers as people dial them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts import topics
from common.service.bus.protocol import matches

AWKWARD = ["1001", "+46 8#*", "*21*08123#", "a/b", "50%25", "åsa", "x.y", "#", "+", "$SYS", "<sip:1@h>", "1001@opentas"]


@pytest.mark.parametrize("aor", AWKWARD)
def test_binding_topic_of_an_awkward_number_is_one_level_and_leads_back(aor: str) -> None:
    topic = topics.binding("tas-1", aor, "k1")
    level = topic.split("/")[4]
    assert len(topic.split("/")) == 6
    assert not set(level) & set("+#/. $")
    assert level.isascii()
    assert matches(topics.ALL_BINDINGS, topic)
    assert topics.parse_binding(topic) == ("tas-1", aor, "k1")


@given(st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable()))
def test_binding_topic_of_any_name_leads_back(aor: str) -> None:
    assert topics.parse_binding(topics.binding("tas-2", aor, "0f")) == ("tas-2", aor, "0f")


@pytest.mark.parametrize(
    "topic",
    ["", "a/b/c", topics.presence("tas", "tas-1"), topics.node_events("tas-1"), f"{topics.ROOT}/bindings/tas-1/1001"],
)
def test_other_topic_is_no_binding(topic: str) -> None:
    with pytest.raises(ValueError, match=r"binding|unpack"):
        topics.parse_binding(topic)


def test_filters_take_their_own_topics_only() -> None:
    made = {
        topics.ALL_PRESENCE: topics.presence("broker", "broker-1"),
        topics.ALL_HEARTBEATS: topics.heartbeat("tas", "tas-1"),
        topics.ALL_NODE_EVENTS: topics.node_events("tas-1"),
        topics.ALL_BINDINGS: topics.binding("tas-1", "1001", "k"),
    }
    commands = topics.node_commands("tas-1")
    for pattern, topic in made.items():
        others = [other for name, other in made.items() if name != pattern]
        assert matches(pattern, topic)
        assert not any(matches(pattern, other) for other in [*others, commands])


def test_death_is_noticed_after_suspicion_and_more_than_one_lost_heartbeat() -> None:
    assert topics.HEARTBEAT_INTERVAL_S < topics.SUSPECT_AFTER_S < topics.DEAD_AFTER_S
