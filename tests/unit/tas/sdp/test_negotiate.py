"""Offer/answer: which stream, which codec, which direction (RFC 3264)."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.contracts.media import Codec
from tas.errors import SdpError
from tas.sdp import Negotiated, accept_answer, choose, parse_sdp
from tas.sdp.model import Direction
from tests.unit.tas.sdp.support import sample, sdp

BOTH = (Codec.PCMA, Codec.PCMU)
AUDIO = b"m=audio 4000 RTP/AVP 8 0"


def answer_to(body: bytes, codecs: tuple[Codec, ...] = BOTH) -> Negotiated:
    return choose(parse_sdp(body), codecs)


def refusal(body: bytes, codecs: tuple[Codec, ...] = BOTH) -> str:
    """The 488 an offer is answered with."""
    with pytest.raises(SdpError) as caught:
        answer_to(body, codecs)
    assert caught.value.status == 488
    return caught.value.reason


def test_baresip_offer_gives_its_first_codec_and_its_digits() -> None:
    remote = answer_to(sample("baresip_1.0.0")).remote
    assert (remote.codec, remote.payload_type, remote.dtmf_payload_type) == (Codec.PCMU, 0, 101)
    assert (remote.address, remote.port, remote.ptime_ms) == ("127.0.0.1", 48826, 20)
    assert (remote.send, remote.receive, remote.learn) == (True, True, False)


def test_sipp_offer_without_telephone_event_takes_no_digits() -> None:
    remote = answer_to(sample("sipp_3.6.1")).remote
    assert (remote.codec, remote.dtmf_payload_type, remote.ptime_ms) == (Codec.PCMU, None, 20)


def test_cisco_answer_in_the_ack_is_taken() -> None:
    found = accept_answer(parse_sdp(sample("cisco_ucm_answer_in_ack")), BOTH)
    assert (found.remote.codec, found.remote.address, found.remote.dtmf_payload_type) == (Codec.PCMA, "192.0.2.61", 101)


def test_softphone_with_wideband_codecs_first_gets_the_first_we_have() -> None:
    found = answer_to(sample("softphone_with_video"))
    assert (found.remote.codec, found.remote.payload_type, found.media_index) == (Codec.PCMU, 0, 0)
    assert found.remote.dtmf_payload_type is None  # its 101 counts at 48 kHz


def test_codec_the_trunk_forbids_is_passed_over() -> None:
    assert answer_to(sample("baresip_1.0.0"), (Codec.PCMA,)).remote.payload_type == 8


def test_offerers_order_counts_not_ours() -> None:
    assert answer_to(sdp(b"m=audio 4000 RTP/AVP 0 8"), (Codec.PCMA, Codec.PCMU)).remote.codec is Codec.PCMU


def test_static_payload_type_needs_no_rtpmap() -> None:
    assert answer_to(sdp(AUDIO)).remote.codec is Codec.PCMA


def test_static_number_mapped_to_another_codec_is_not_taken_for_its_static_meaning() -> None:
    assert "no codec in common" in refusal(sdp(b"m=audio 4000 RTP/AVP 8", b"a=rtpmap:8 iLBC/8000"))


@pytest.mark.parametrize("name", [b"PCMA/8000", b"pcma/8000", b" PCMA/8000 ", b"PCMA/8000/1"])
def test_dynamic_payload_type_is_known_by_its_rtpmap(name: bytes) -> None:
    remote = answer_to(sdp(b"m=audio 4000 RTP/AVP 97", b"a=rtpmap:97 " + name)).remote
    assert (remote.codec, remote.payload_type) == (Codec.PCMA, 97)


@pytest.mark.parametrize("name", [b"PCMA/16000", b"PCMA/8000/2", b"PCMA", b"L16/8000"])
def test_codec_at_another_clock_or_channel_count_is_another_codec(name: bytes) -> None:
    assert "no codec in common" in refusal(sdp(b"m=audio 4000 RTP/AVP 97", b"a=rtpmap:97 " + name))


def test_payload_type_127_is_the_highest() -> None:
    assert answer_to(sdp(b"m=audio 4000 RTP/AVP 127", b"a=rtpmap:127 PCMA/8000")).remote.payload_type == 127
    assert "no codec" in refusal(sdp(b"m=audio 4000 RTP/AVP 128", b"a=rtpmap:128 PCMA/8000"))
    assert "no codec" in refusal(sdp(b"m=audio 4000 RTP/AVP " + b"9" * 5000))


@pytest.mark.parametrize("payload_type", [b"128", b"300", b"1" * 5000, b"x"])
def test_telephone_event_on_an_impossible_payload_type_takes_no_digits(payload_type: bytes) -> None:
    body = sdp(b"m=audio 4000 RTP/AVP 8 " + payload_type, b"a=rtpmap:" + payload_type + b" telephone-event/8000")
    assert answer_to(body).remote.dtmf_payload_type is None


def test_telephone_event_is_taken_at_the_codecs_clock_only() -> None:
    body = sdp(
        b"m=audio 4000 RTP/AVP 8 100 101", b"a=rtpmap:100 telephone-event/16000", b"a=rtpmap:101 telephone-event/8000"
    )
    assert answer_to(body).remote.dtmf_payload_type == 101


def test_no_common_codec_is_refused_with_both_lists() -> None:
    text = refusal(sdp(b"m=audio 4000 RTP/AVP 18 96", b"a=rtpmap:96 opus/48000/2"))
    assert text == "Not Acceptable Here: no codec in common: offered 18, opus/48000/2; supported PCMA, PCMU"


def test_only_video_is_refused() -> None:
    assert refusal(sdp(b"m=video 4000 RTP/AVP 96")).endswith("no audio stream")


def test_only_srtp_is_refused_by_its_profile() -> None:
    assert "RTP/SAVP is not supported" in refusal(sdp(b"m=audio 4000 RTP/SAVP 8"))


def test_plain_stream_behind_an_srtp_one_is_taken() -> None:
    found = answer_to(sample("sdes_and_plain"))
    assert (found.media_index, found.remote.port) == (1, 30002)


def test_rejected_audio_in_a_fax_offer_leaves_nothing() -> None:
    assert refusal(sample("fax_t38_after_audio")).endswith("no audio stream")


@pytest.mark.parametrize(
    "address",
    [
        b"224.2.1.1/127", b"239.255.255.255", b"255.255.255.255", b"240.0.0.1", b"256.1.1.1", b"1.2.3", b"1.2.3.4.5",
        b"010.0.0.1", b"2001:db8::1", b"phone.example.com", b"1.2.3.x",
    ],
)  # fmt: skip
def test_address_that_is_no_ipv4_host_is_refused_by_name(address: bytes) -> None:
    text = refusal(sdp(AUDIO, address=address))
    assert address.partition(b"/")[0].decode() in text


def test_offer_without_an_address_is_refused() -> None:
    assert "(none)" in refusal(b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nt=0 0\r\n" + AUDIO + b"\r\n")


def test_second_stream_with_a_usable_address_is_taken() -> None:
    body = sdp(AUDIO, b"c=IN IP6 2001:db8::1", b"m=audio 4002 RTP/AVP 8", b"c=IN IP4 192.0.2.9")
    assert answer_to(body).media_index == 1


@pytest.mark.parametrize(
    ("theirs", "ours", "send", "receive"),
    [
        (b"sendrecv", Direction.SENDRECV, True, True),
        (b"sendonly", Direction.RECVONLY, False, True),
        (b"recvonly", Direction.SENDONLY, True, False),
        (b"inactive", Direction.INACTIVE, False, False),
    ],
)
def test_direction_is_mirrored(theirs: bytes, ours: Direction, send: bool, receive: bool) -> None:
    found = answer_to(sdp(AUDIO, b"a=" + theirs))
    assert (found.direction, found.remote.send, found.remote.receive) == (ours, send, receive)


@pytest.mark.parametrize(
    ("theirs", "ours", "receive"),
    [
        (b"sendrecv", Direction.RECVONLY, True),
        (b"sendonly", Direction.RECVONLY, True),
        (b"recvonly", Direction.INACTIVE, False),
        (b"inactive", Direction.INACTIVE, False),
    ],
)
def test_unspecified_address_is_hold_nothing_is_sent(theirs: bytes, ours: Direction, receive: bool) -> None:
    found = answer_to(sdp(AUDIO, b"a=" + theirs, address=b"0.0.0.0"))
    assert (found.direction, found.remote.send, found.remote.receive) == (ours, False, receive)


def test_old_hold_of_rfc_2543_is_answered_recvonly() -> None:
    assert answer_to(sample("rfc2543_hold")).direction is Direction.RECVONLY


def test_cisco_hold_is_answered_inactive() -> None:
    found = answer_to(sample("cisco_ucm_hold_inactive"))
    assert (found.direction, found.origin_version) == (Direction.INACTIVE, b"CiscoSystemsCCM-SIP 26871 2")


def test_learning_is_asked_for_by_the_caller_of_choose() -> None:
    assert choose(parse_sdp(sdp(AUDIO)), BOTH, learn=True).remote.learn
    assert accept_answer(parse_sdp(sdp(AUDIO)), BOTH, learn=True).remote.learn


@pytest.mark.parametrize("body", [sdp(), sdp(b"m=audio 0 RTP/AVP 8"), sdp(b"m=video 4000 RTP/AVP 8", AUDIO)])
def test_answer_that_does_not_take_our_one_stream_is_refused(body: bytes) -> None:
    with pytest.raises(SdpError) as caught:
        accept_answer(parse_sdp(body), BOTH)
    assert caught.value.status == 488


def test_answer_with_a_codec_we_did_not_offer_is_refused() -> None:
    with pytest.raises(SdpError, match="supported PCMA"):
        accept_answer(parse_sdp(sdp(b"m=audio 4000 RTP/AVP 0")), (Codec.PCMA,))


def test_answer_with_a_payload_type_of_its_own_is_taken_as_it_is() -> None:
    body = sdp(b"m=audio 4000 RTP/AVP 8 96", b"a=rtpmap:96 telephone-event/8000")
    assert accept_answer(parse_sdp(body), BOTH).remote.dtmf_payload_type == 96


WORDS = st.sampled_from(
    [
        b"audio",
        b"video",
        b"0",
        b"8",
        b"101",
        b"4000",
        b"65535",
        b"RTP/AVP",
        b"rtp/avp",
        b"RTP/SAVP",
        b"999",
        b"\xff",
        b"-1",
    ]
)
ATTRIBUTES = st.sampled_from(
    [b"a=rtpmap:8 PCMA/8000", b"a=rtpmap:101 telephone-event/8000", b"a=rtpmap:999 telephone-event/8000", b"a=sendonly",
     b"a=ptime:5", b"a=ptime:60", b"c=IN IP4 0.0.0.0", b"c=IN IP4 \xff", b"c=IN IP6 ::1"]
)  # fmt: skip
MEDIA = st.lists(WORDS, min_size=2, max_size=6).map(lambda words: b"m=" + b" ".join(words))


@settings(max_examples=50, deadline=None)
@given(st.lists(MEDIA | ATTRIBUTES | st.just(AUDIO), max_size=12))
def test_whatever_is_offered_the_remote_is_one_a_media_server_takes(lines: list[bytes]) -> None:
    with contextlib.suppress(SdpError):
        remote = answer_to(sdp(*lines)).remote
        assert 0 < remote.port <= 65535
        assert 0 <= remote.payload_type < 128
        assert remote.dtmf_payload_type is None or 0 <= remote.dtmf_payload_type < 128
        assert remote.ptime_ms in range(10, 61, 10)
