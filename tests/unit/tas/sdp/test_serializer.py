"""Writing offers and answers: what RFC 3264 says must be the same, and what must move."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from common.contracts.media import Codec
from tas.sdp import Negotiated, accept_answer, choose, parse_sdp, render_answer, render_offer
from tas.sdp.model import Direction, SessionDescription
from tests.unit.tas.sdp.support import sample, sdp

BOTH = (Codec.PCMA, Codec.PCMU)
OURS = "198.51.100.1"
CODECS = st.sampled_from([(Codec.PCMA,), (Codec.PCMU,), (Codec.PCMA, Codec.PCMU), (Codec.PCMU, Codec.PCMA)])


def negotiate(body: bytes) -> tuple[SessionDescription, Negotiated]:
    offer = parse_sdp(body)
    return offer, choose(offer, BOTH)


def answer(body: bytes, *, version: int = 1) -> bytes:
    offer, found = negotiate(body)
    return render_answer(offer, found, address=OURS, port=20000, session_id=7, version=version)


def lines(rendered: bytes, start: bytes) -> list[bytes]:
    return [line for line in rendered.split(b"\r\n") if line.startswith(start)]


def test_offer_is_exactly_this() -> None:
    assert render_offer(address=OURS, port=20000, codecs=BOTH, session_id=7, version=3) == (
        b"v=0\r\no=opentas 7 3 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n"
        b"m=audio 20000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
        b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    )


def test_answer_to_baresip_is_exactly_this() -> None:
    assert answer(sample("baresip_1.0.0")) == (
        b"v=0\r\no=opentas 7 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n"
        b"m=audio 20000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n"
        b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    )


def test_answer_without_digits_offers_none() -> None:
    rendered = answer(sample("sipp_3.6.1"))
    assert lines(rendered, b"m=") == [b"m=audio 20000 RTP/AVP 0"]
    assert b"telephone-event" not in rendered


def test_answer_keeps_the_offerers_number_for_digits() -> None:
    assert lines(answer(sample("rfc2543_hold")), b"m=") == [b"m=audio 20000 RTP/AVP 0 96"]


def test_answer_rejects_video_in_its_place_with_port_zero() -> None:
    assert lines(answer(sample("softphone_with_video")), b"m=") == [
        b"m=audio 20000 RTP/AVP 0",
        b"m=video 0 RTP/AVP 102 103",
    ]


def test_answer_rejects_what_stands_before_the_chosen_stream() -> None:
    assert lines(answer(sample("sdes_and_plain")), b"m=") == [b"m=audio 0 RTP/SAVP 8", b"m=audio 20000 RTP/AVP 8"]


def test_answer_rejects_fax_in_the_words_of_the_offer() -> None:
    body = sdp(b"m=audio 4000 RTP/AVP 8", b"m=image 18564 udptl t38")
    assert lines(answer(body), b"m=")[1] == b"m=image 0 udptl t38"


@pytest.mark.parametrize("protocol", [b"RTP/AVP", b"RTP/AVPF", b"rtp/avp"])
def test_answer_takes_the_profile_of_the_offer(protocol: bytes) -> None:
    assert lines(answer(sdp(b"m=audio 4000 " + protocol + b" 8")), b"m=") == [b"m=audio 20000 " + protocol + b" 8"]


@pytest.mark.parametrize(
    ("name", "direction"), [("cisco_ucm_hold_inactive", b"a=inactive"), ("rfc2543_hold", b"a=recvonly")]
)
def test_answer_to_hold_agrees_to_it(name: str, direction: bytes) -> None:
    assert answer(sample(name)).endswith(direction + b"\r\n")


def test_answer_may_say_less_than_the_offer_allows() -> None:
    offer, found = negotiate(sdp(b"m=audio 4000 RTP/AVP 8"))
    rendered = render_answer(offer, found, address=OURS, port=20000, session_id=7, direction=Direction.SENDONLY)
    assert rendered.endswith(b"a=sendonly\r\n")


def test_answer_keeps_the_offers_ptime() -> None:
    assert b"a=ptime:30\r\n" in answer(sdp(b"m=audio 4000 RTP/AVP 8", b"a=ptime:30"))


def test_next_version_differs_in_the_version_only() -> None:
    body = sample("baresip_1.0.0")
    first, second = answer(body, version=1), answer(body, version=2)
    assert second == first.replace(b"o=opentas 7 1 IN", b"o=opentas 7 2 IN")
    assert answer(body, version=1) == first


@settings(max_examples=50, deadline=None)
@given(CODECS, st.integers(1, 65535), st.sampled_from(list(Direction)), st.sampled_from([10, 20, 30, 60]))
def test_rendered_offer_reads_back_as_what_was_rendered(
    codecs: tuple[Codec, ...], port: int, direction: Direction, ptime_ms: int
) -> None:
    rendered = render_offer(
        address=OURS, port=port, codecs=codecs, session_id=1, direction=direction, ptime_ms=ptime_ms
    )
    found = choose(parse_sdp(rendered), codecs)
    assert (found.remote.address, found.remote.port, found.remote.codec) == (OURS, port, codecs[0])
    assert (found.remote.ptime_ms, found.remote.dtmf_payload_type) == (ptime_ms, 101)
    assert found.direction is direction.mirrored


@settings(max_examples=50, deadline=None)
@given(CODECS, CODECS, st.integers(0, 3), st.integers(0, 3))
def test_answer_to_our_own_offer_is_one_we_accept(
    offered: tuple[Codec, ...], known: tuple[Codec, ...], before: int, after: int
) -> None:
    """Two nodes of ours agree, and the answer has as many m= lines as the offer."""
    rendered = render_offer(address=OURS, port=4000, codecs=offered, session_id=1)
    rendered += b"m=video 5000 RTP/AVP 96\r\n" * after
    head, audio, rest = rendered.partition(b"m=audio")
    offer = parse_sdp(head + b"m=application 6000 TCP/X y\r\n" * before + audio + rest)
    assume(set(offered) & set(known))
    found = choose(offer, known)
    again = parse_sdp(render_answer(offer, found, address="192.0.2.5", port=5000, session_id=2))
    assert [media.port for media in again.media] == [0] * before + [5000] + [0] * after
    if not before:
        assert accept_answer(again, offered).remote.codec is found.remote.codec
