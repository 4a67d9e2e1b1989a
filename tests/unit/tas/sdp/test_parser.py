"""The SDP parser: what real peers send, and what nobody should."""

from __future__ import annotations

import contextlib
import string
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tas.errors import SdpError
from tas.sdp import parse_sdp
from tas.sdp.model import Direction
from tas.sdp.parser import MAX_FORMATS, MAX_MEDIA_LINES, MAX_SDP_BYTES
from tests.unit.tas.sdp.support import SAMPLES, sample, sdp

AUDIO = b"m=audio 4000 RTP/AVP 8"


def refusal(body: bytes) -> str:
    """The 400 a body is answered with."""
    with pytest.raises(SdpError) as caught:
        parse_sdp(body)
    assert caught.value.status == 400
    return caught.value.reason


def test_baresip_offer_has_its_audio_stream() -> None:
    found = parse_sdp(sample("baresip_1.0.0"))
    (audio,) = found.media
    assert found.origin_version == b"- 2462979423 1994557930"
    assert (audio.kind, audio.port, audio.protocol, audio.address) == (b"audio", 48826, b"RTP/AVP", "127.0.0.1")
    assert audio.formats == [b"0", b"8", b"101"]
    assert audio.rtpmap == {b"0": b"pcmu/8000", b"8": b"pcma/8000", b"101": b"telephone-event/8000"}
    assert (audio.ptime_ms, audio.direction) == (20, Direction.SENDRECV)


def test_sipp_offer_has_its_audio_stream() -> None:
    (audio,) = parse_sdp(sample("sipp_3.6.1")).media
    assert (audio.port, audio.formats, audio.ptime_ms) == (6000, [b"0"], 0)


def test_video_section_keeps_its_place_and_words() -> None:
    audio, video = parse_sdp(sample("softphone_with_video")).media
    assert (audio.kind, video.kind, video.port) == (b"audio", b"video", 9078)
    assert video.formats == [b"102", b"103"]


def test_protocol_keeps_the_case_it_came_in() -> None:
    audio, image = parse_sdp(sample("fax_t38_after_audio")).media
    assert (audio.port, image.protocol) == (0, b"udptl")


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.sdp")), ids=lambda path: path.stem)
def test_sample_without_final_line_end_means_the_same(path: Path) -> None:
    body = sample(path.stem)
    whole, cut = parse_sdp(body), parse_sdp(body.rstrip(b"\r\n"))
    assert [(media.port, media.formats, media.rtpmap, media.ptime_ms) for media in whole.media] == [
        (media.port, media.formats, media.rtpmap, media.ptime_ms) for media in cut.media
    ]


def test_bare_line_feeds_mean_the_same_as_crlf() -> None:
    found = parse_sdp(sample("baresip_1.0.0").replace(b"\r\n", b"\n"))
    assert found.media[0].rtpmap[b"101"] == b"telephone-event/8000"


def test_media_level_address_wins_over_session_level() -> None:
    body = sdp(AUDIO, b"c=IN IP4 198.51.100.7", b"m=video 4002 RTP/AVP 96")
    audio, video = parse_sdp(body).media
    assert (audio.address, video.address) == ("198.51.100.7", "192.0.2.9")


def test_address_may_carry_a_ttl() -> None:
    assert parse_sdp(sdp(AUDIO, address=b"224.2.1.1/127/3")).media[0].address == "224.2.1.1"


def test_direction_of_the_session_holds_for_streams_without_their_own() -> None:
    body = sdp(AUDIO, b"m=audio 4002 RTP/AVP 0", b"a=recvonly", session=b"a=sendonly\r\n")
    first, second = parse_sdp(body).media
    assert (first.direction, second.direction) == (Direction.SENDONLY, Direction.RECVONLY)


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [(b"10", 10), (b"20", 20), (b" 30 ", 30), (b"60", 60), (b"0", 0), (b"25", 0), (b"70", 0), (b"20.5", 0), (b"", 0)],
)
def test_ptime_counts_only_when_media_servers_can_send_it(attribute: bytes, expected: int) -> None:
    assert parse_sdp(sdp(AUDIO, b"a=ptime:" + attribute)).media[0].ptime_ms == expected


def test_port_range_of_the_media_line_is_accepted() -> None:
    assert parse_sdp(sdp(b"m=audio 4000/2 RTP/AVP 8")).media[0].port == 4000


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "does not begin with v=0"),
        (b"\r\n" + sdp(AUDIO), "does not begin with v=0"),
        (b"v=1\r\n", "does not begin with v=0"),
        (sdp(b"m=audio 4000 RTP/AVP"), "incomplete"),
        (sdp(b"m=audio 65536 RTP/AVP 8"), "no valid port"),
        (sdp(b"m=audio -1 RTP/AVP 8"), "no valid port"),
        (sdp(b"m=audio $ RTP/AVP 8"), "no valid port"),
        (sdp(b"m=audio " + b"1" * 5000 + b" RTP/AVP 8"), "no valid port"),
        (sdp(AUDIO, address=b""), "c= line"),
        (sdp(AUDIO, b"c=192.0.2.9"), "c= line"),
        (sdp(AUDIO, b"audio"), "without '=': audio"),
    ],
)
def test_malformed_description_is_refused_by_name(body: bytes, text: str) -> None:
    assert text in refusal(body)


def test_refusal_shows_no_control_characters() -> None:
    assert refusal(sdp(AUDIO, b"\x1b[2J\x00")).isprintable()


def test_port_65535_is_the_highest() -> None:
    assert parse_sdp(sdp(b"m=audio 65535 RTP/AVP 8")).media[0].port == 65535


def test_description_at_the_size_limit_is_taken_and_one_byte_more_refused() -> None:
    body = sdp(AUDIO, b"a=")
    body = body[:-2] + b"x" * (MAX_SDP_BYTES - len(body)) + b"\r\n"
    assert len(parse_sdp(body).media) == 1
    assert str(MAX_SDP_BYTES) in refusal(body + b"\n")


def test_as_many_media_lines_as_the_limit_are_taken_and_one_more_refused() -> None:
    assert len(parse_sdp(sdp(*[AUDIO] * MAX_MEDIA_LINES)).media) == MAX_MEDIA_LINES
    assert "m= lines" in refusal(sdp(*[AUDIO] * (MAX_MEDIA_LINES + 1)))


def test_as_many_formats_as_the_limit_are_taken_and_one_more_refused() -> None:
    line = b"m=audio 4000 RTP/AVP" + b" 8" * MAX_FORMATS
    assert len(parse_sdp(sdp(line)).media[0].formats) == MAX_FORMATS
    assert "formats" in refusal(sdp(line + b" 8"))


LINES = st.text(alphabet=string.printable + "\x00\xff", max_size=40).map(lambda text: text.encode("latin-1"))
LINE_STARTS = st.sampled_from([b"m=", b"c=", b"a=", b"o=", b"m=audio ", b"a=rtpmap:", b"a=ptime:", b"c=IN IP4 ", b""])


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
@example(b"v=0\nm=audio " + b"9" * 4400 + b" a b")
@example(b"v=0\nm=audio 1 a b\na=ptime:" + b"9" * 4400)
def test_any_bytes_give_a_description_or_an_sdp_error(body: bytes) -> None:
    with contextlib.suppress(SdpError):
        parse_sdp(body)
    with contextlib.suppress(SdpError):
        parse_sdp(b"v=0\r\n" + body)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(LINE_STARTS, LINES), max_size=12))
def test_any_lines_give_a_description_or_an_sdp_error(lines: list[tuple[bytes, bytes]]) -> None:
    with contextlib.suppress(SdpError):
        found = parse_sdp(b"v=0\r\n" + b"".join(start + rest + b"\r\n" for start, rest in lines))
        assert all(0 <= media.port <= 65535 for media in found.media)
