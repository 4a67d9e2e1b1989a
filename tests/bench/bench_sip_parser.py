"""CPU per SIP message: parse with the routing headers touched, validate, serialise, answer.

Run by hand: `python -m tests.bench.bench_sip_parser`. Aims are for CPython 3.11 on a shared 3 GHz core; the floor is
the cheapest conceivable Python work on the same bytes (split into lines and name/value pairs), measured beside it.
"""

import gc
import sys
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tas.sip.message import Request  # noqa: E402
from tas.sip.parser import parse_message, validate  # noqa: E402
from tas.sip.serializer import make_response, serialize  # noqa: E402

CALLERS = 6_000
ROUNDS = 5
SECONDS_PER_ROUND = 0.15

SDP = (
    b"v=0\r\no=mxone 27150 1 IN IP4 10.20.30.40\r\ns=-\r\nc=IN IP4 10.20.30.40\r\nt=0 0\r\n"
    b"m=audio 41234 RTP/AVP 8 0 9 18 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:9 G722/8000\r\n"
    b"a=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
    b"a=ptime:20\r\na=sendrecv\r\na=rtcp:41235\r\na=ssrc:305419896 cname:41d0a4c4\r\n"
)
INVITE = (
    b"INVITE sip:8000@10.20.30.1:5060;transport=udp SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 10.20.30.40:5060;branch=z9hG4bK-524287-1---7a1fc5a3bcd0e1f2;rport\r\n"
    b"Via: SIP/2.0/UDP 10.20.31.7:5062;received=10.20.31.7;branch=z9hG4bKdeadbeef0011223344;rport=5062\r\n"
    b"Record-Route: <sip:10.20.30.40:5060;lr;ftag=8f3a92b1>\r\n"
    b"Max-Forwards: 69\r\n"
    b"Contact: <sip:+4687570000@10.20.31.7:5062;transport=udp>\r\n"
    b'To: "Support" <sip:8000@10.20.30.1>\r\n'
    b'From: "Anna Andersson" <sip:+4687570000@10.20.30.40>;tag=8f3a92b1-1762500000\r\n'
    b"Call-ID: 7f1c0c4e-33f1-4b7c-9d9c-2f6c1b6b0a11@10.20.31.7\r\n"
    b"CSeq: 102 INVITE\r\n"
    b"Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, UPDATE, INFO, PRACK, SUBSCRIBE, MESSAGE\r\n"
    b"Supported: replaces, timer, 100rel, histinfo, path, outbound\r\n"
    b"Session-Expires: 1800;refresher=uac\r\n"
    b"Min-SE: 90\r\n"
    b'P-Asserted-Identity: "Anna Andersson" <sip:+4687570000@example.com>\r\n'
    b"P-Charging-Vector: icid-value=4f2a-99c1-22de;icid-generated-at=10.20.30.40;orig-ioi=example.com\r\n"
    b"Privacy: none\r\n"
    b"User-to-User: 00c81031322d33343536373839;encoding=hex\r\n"
    b"History-Info: <sip:+46870000000@example.com>;index=1, <sip:8000@example.com>;index=1.1\r\n"
    b"User-Agent: MX-ONE SN/7.4 SP1\r\n"
    b"Date: Sat, 07 Nov 2026 09:20:00 GMT\r\n"
    b"Accept: application/sdp, application/dtmf-relay\r\n"
    b"Content-Type: application/sdp\r\n"
    b"Content-Length: %d\r\n\r\n" % len(SDP)
) + SDP
BYE = (
    b"BYE sip:call-7@10.20.30.1:5060 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 10.20.30.40:5060;branch=z9hG4bK-524287-1---99aa77bb55cc33dd;rport\r\n"
    b"Max-Forwards: 70\r\n"
    b'To: "Support" <sip:8000@10.20.30.1>;tag=b1946ac9\r\n'
    b'From: "Anna Andersson" <sip:+4687570000@10.20.30.40>;tag=8f3a92b1-1762500000\r\n'
    b"Call-ID: 7f1c0c4e-33f1-4b7c-9d9c-2f6c1b6b0a11@10.20.31.7\r\n"
    b"CSeq: 103 BYE\r\nUser-Agent: MX-ONE SN/7.4 SP1\r\nContent-Length: 0\r\n\r\n"
)


def _request(data: bytes) -> Request:
    message = parse_message(data)
    assert isinstance(message, Request)
    return message


def touch(data: bytes) -> None:
    """What the transaction layer reads of every message."""
    message = parse_message(data)
    _ = message.via.branch, message.from_.tag, message.to.tag, message.call_id, message.cseq, message.cseq_method


def parse_and_validate(data: bytes) -> None:
    """What the edge does with every message."""
    assert validate(parse_message(data)) is None


def split_only(data: bytes) -> None:
    """The floor: lines, then names and values, and nothing understood."""
    head, _, _body = data.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        line.partition(b":")


def variants(data: bytes) -> Iterator[bytes]:
    """The message over and over, from more callers than the parser's caches hold."""
    callers = [
        data.replace(b"+4687570000", b"+46875%05d" % n).replace(b"8f3a92b1", b"%08x" % n) for n in range(CALLERS)
    ]
    return cycle(callers)


def microseconds(work: Callable[[], object]) -> float:
    """CPU per call: best of several rounds, so that a busy neighbour does not count."""
    count = 1
    while _timed(work, count) < SECONDS_PER_ROUND:
        count *= 2
    return min(_timed(work, count) for _ in range(ROUNDS)) / count * 1e6


def _timed(work: Callable[[], object], count: int) -> float:
    gc.disable()  # as timeit does; the node collects rarely (freeze after start, high thresholds)
    try:
        begin = time.process_time()
        for _ in range(count):
            work()
        return time.process_time() - begin
    finally:
        gc.enable()


def run() -> dict[str, dict[str, object]]:
    """Measure everything; each row says whether it is within its aim."""
    invite, bye = _request(INVITE), _request(BYE)
    invites, byes = variants(INVITE), variants(BYE)
    floors = {
        "invite": microseconds(lambda: split_only(next(invites))),
        "bye": microseconds(lambda: split_only(next(byes))),
    }
    rows: list[tuple[str, str, Callable[[], object], float]] = [
        ("sip_parse_invite", "invite", lambda: touch(next(invites)), 7.0),
        ("sip_parse_bye", "bye", lambda: touch(next(byes)), 4.5),
        ("sip_parse_validate_invite", "invite", lambda: parse_and_validate(next(invites)), 25.0),
        ("sip_serialize_invite", "invite", lambda: serialize(invite), 4.0),
        ("sip_respond_invite", "invite", lambda: serialize(make_response(invite, 200, to_tag=b"a")), 5.0),
        ("sip_respond_bye", "bye", lambda: serialize(make_response(bye, 200)), 4.0),
    ]
    results: dict[str, dict[str, object]] = {}
    for name, floor_name, work, aim in rows:
        value, floor = microseconds(work), floors[floor_name]
        results[name] = {
            "value": round(value, 2),
            "unit": "us",
            "floor": round(floor, 2),
            "ratio": round(value / floor, 2),
            "aim": aim,
            "ok": value <= aim,
        }
    return results


if __name__ == "__main__":
    print(f"INVITE {len(INVITE)} bytes, BYE {len(BYE)} bytes")
    for name, row in run().items():
        print(f"{name:28} {row['value']:>8} {row['unit']}  floor {row['floor']}  aim {row['aim']}  ok {row['ok']}")
