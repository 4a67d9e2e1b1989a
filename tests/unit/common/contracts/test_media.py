"""Media control: what one end encodes the other decodes, whole."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from common.contracts import media
from common.contracts.ids import CallUid, SessionId
from common.contracts.media import Codec, ErrorCode, Play, Remote, ServerState, SessionCreate, SessionModify

SESSION = SessionId("tas-1-19ab-00.1")
OTHER = SessionId("tas-1-19ab-00.2")
REMOTE = Remote("192.0.2.7", 4000, Codec.PCMA, 8, dtmf_payload_type=101, learn=True)
PLAY = Play(1, ["welcome", "music"], loop_from=1)

MESSAGES: list[msgspec.Struct] = [
    media.Hello(media.VERSION, "tas-1", "a1", epoch=3, token="t"),
    media.HelloResult(1, "media-1", "b1", "192.0.2.1", 500, 2, False, list(Codec), [SESSION]),
    SessionCreate(SESSION, CallUid("tas-1-19ab-00"), REMOTE, PLAY, OTHER, True),
    SessionCreate(SESSION, CallUid("tas-1-19ab-00")),
    media.SessionCreated(SESSION, "192.0.2.1", 20_000),
    SessionModify(SESSION, REMOTE, unbridge=True, stop_play=True, bridge=OTHER, echo=False, play=PLAY),
    media.SendDigits(SESSION, "0123456789*#ABCD"),
    media.SessionDelete([SESSION, OTHER]),
    media.DeleteResult([media.Statistics(SESSION, packets_received=2**40, jitter_ms=0.125)]),
    media.SessionDump(SESSION),
    media.Empty(),
    media.ServerStatus("media-1", ServerState.DRAINING, 500, 500, 1),
    media.Digit(SESSION, "#", 160),
    media.PlayFinished(SESSION, 1, "digit"),
    media.FirstPacket(SESSION, "192.0.2.7", 4000),
    media.RtpTimeout(SESSION, 60.02),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_message_comes_back_as_it_was(message: msgspec.Struct) -> None:
    assert msgspec.json.decode(msgspec.json.encode(message), type=type(message)) == message


def test_every_struct_of_the_contract_is_tried() -> None:
    structs = {value for value in vars(media).values() if isinstance(value, type) and issubclass(value, msgspec.Struct)}
    assert structs - {type(message) for message in MESSAGES} == {Remote, Play, media.Statistics}


def test_what_is_not_given_means_the_usual() -> None:
    remote = msgspec.json.decode(b'{"address":"192.0.2.7","port":4000,"codec":"PCMU","payload_type":0}', type=Remote)
    assert (remote.ptime_ms, remote.dtmf_payload_type) == (20, None)
    assert (remote.send, remote.receive, remote.learn) == (True, True, False)
    modify = msgspec.json.decode(b'{"session":"x.1"}', type=SessionModify)
    assert (modify.remote, modify.bridge, modify.echo, modify.play) == (None, None, None, None)
    assert (modify.unbridge, modify.stop_play) == (False, False)


@pytest.mark.parametrize(
    ("type_", "body"),
    [
        (Remote, {"address": "192.0.2.7", "port": 4000, "codec": "opus", "payload_type": 96}),
        (Remote, {"address": "192.0.2.7", "port": "4000", "codec": "PCMA", "payload_type": 8}),
        (SessionCreate, {"session": "x.1"}),
        (media.PlayFinished, {"session": "x.1", "play_id": 1, "cause": "boredom"}),
        (media.ServerStatus, {"server": "m", "state": "sleepy", "used": 0, "limit": 500}),
    ],
)
def test_message_of_another_shape_is_refused(type_: Any, body: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(body), type=type_)


def test_error_codes_are_positive_and_tell_themselves_apart() -> None:
    codes = [value for name, value in vars(ErrorCode).items() if name.isupper()]
    assert len(codes) == 9
    assert len(set(codes)) == len(codes)
    assert min(codes) > 0, "negative ones are JSON-RPC's own"


def test_silence_is_suspect_before_it_is_death_and_orphans_outlive_both() -> None:
    assert 2 * media.STATUS_INTERVAL_S < media.SUSPECT_AFTER_S < media.DEAD_AFTER_S < media.ORPHAN_GRACE_S
