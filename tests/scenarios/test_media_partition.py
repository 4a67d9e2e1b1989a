"""A control link that is cut while calls end: what the TAS could not give back must be given back later."""

from __future__ import annotations

from tests.scenarios.support.lab import Lab


def test_sessions_of_calls_that_end_while_the_control_link_is_down_are_given_back_when_it_is_up() -> None:
    lab = Lab()
    call = lab.queue_call()
    lab.run(0.1)
    lab.tas[0].wires[0].cut()
    call.hang_up()
    lab.run(2.0)
    assert lab.tas[0].wires[0].server_link is not None
    lab.assert_nothing_left(calls=1)


def test_sessions_of_calls_lost_to_a_long_partition_are_given_back_when_the_server_is_found_again() -> None:
    lab = Lab()
    call = lab.queue_call()
    wire = lab.tas[0].wires[0]
    wire.blocked = True
    wire.cut()
    lab.until(lambda: call.ended, 5.0)
    lab.run(3.0)
    wire.blocked = False
    lab.run(2.0)
    again = lab.queue_call()
    assert again.up
    again.hang_up()
    lab.assert_nothing_left(calls=2)
    assert lab.cdrs[0].reason == "media_lost"


def test_sessions_of_a_server_that_never_finds_its_tas_again_are_given_back_after_the_grace() -> None:
    lab = Lab()
    call = lab.queue_call()
    wire = lab.tas[0].wires[0]
    wire.blocked = True
    wire.cut()
    lab.until(lambda: call.ended, 5.0)
    lab.run(25.0)
    assert len(lab.media[0].sessions) == 1
    lab.assert_nothing_left(calls=1)
