"""Identifiers."""

from common.contracts.ids import CALL_UID_RANDOM_BYTES, make_call_uid, make_leg_id


def test_call_uid_tells_node_and_time_and_ends_in_randomness() -> None:
    uid = make_call_uid("tas-1", 0x19ABCDEF, bytes(range(CALL_UID_RANDOM_BYTES)))
    assert uid == "tas-1-19abcdef-0001020304"
    assert uid.rsplit("-", 2)[0] == "tas-1"


def test_leg_id_counts_the_legs_of_its_call() -> None:
    uid = make_call_uid("edge-tas-12", 1, b"\xff" * CALL_UID_RANDOM_BYTES)
    assert make_leg_id(uid, 1) == f"{uid}.1"
    assert make_leg_id(uid, 12).rpartition(".") == (uid, ".", "12")
