import pytest

from tas.sip.headers import (
    NameAddr,
    SipSyntaxError,
    format_name_addr,
    parse_name_addr,
    parse_via,
    split_commas,
)


@pytest.mark.parametrize(
    ("raw", "display", "uri", "tag"),
    [
        (b'"Anna, A." <sip:1@h>;tag=x', b"Anna, A.", b"sip:1@h", b"x"),
        (b"<sip:1@h;lr>", b"", b"sip:1@h;lr", None),
        (b"sip:1@h;tag=abc", b"", b"sip:1@h", b"abc"),
        (b"sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n", b"", b"sip:vivekg@chair-dnrc.example.com",
         b"1918181833n"),
        (b"caller<sip:c@h>;tag=323", b"caller", b"sip:c@h", b"323"),
        (b"T. Watson <sip:t@h>", b"T. Watson", b"sip:t@h", None),
        (rb'"J Rosenberg \\\""       <sip:j@h> ; tag = 98asjd8', rb'J Rosenberg \"', b"sip:j@h", b"98asjd8"),
        (b'"<sip:fake@h>" <sip:real@h>;tag=1', b"<sip:fake@h>", b"sip:real@h", b"1"),
        (b'""<sip:a@h>;tag=', b"", b"sip:a@h", None),
    ],
)  # fmt: skip
def test_name_addr_forms(raw: bytes, display: bytes, uri: bytes, tag: bytes | None) -> None:
    parsed = parse_name_addr(raw)
    assert (parsed.display, parsed.uri, parsed.tag) == (display, uri, tag)


def test_parameters_outside_brackets_belong_to_the_header() -> None:
    parsed = parse_name_addr(b'<sip:1@h;transport=tcp>;q=0.5;+sip.instance="<urn:uuid:1>";EXPIRES=60')
    assert parsed.params == {b"q": b"0.5", b"+sip.instance": b'"<urn:uuid:1>"', b"expires": b"60"}
    assert parsed.parsed_uri().params == {b"transport": b"tcp"}
    # RFC 4475 §3.3.12 (cparam01): without brackets every parameter is the header's
    assert parse_name_addr(b"sip:+1@gw;unknownparam").params == {b"unknownparam": None}


def test_parsed_uri_is_parsed_once() -> None:
    parsed = parse_name_addr(b"<sip:1@h>")
    assert parsed.parsed_uri() is parsed.parsed_uri()


@pytest.mark.parametrize(
    "raw",
    [
        b'"Mr. J. User <sip:j.user@example.com>',
        b"<sip:a@h",
        b"Bell, Alexander <sip:a.g.bell@example.com>;tag=43",
        b"sip:user@example.com?Route=%3Csip:sip.example.com%3E",
        b'"a" b <sip:a@h>',
        b'a "b" <sip:a@h>',
        b"<sip:a@h>;;;",
        b"<sip:a@h> tag=1",
        b'"a" sip:a@h',
    ],
)
def test_malformed_name_addr_is_refused(raw: bytes) -> None:
    with pytest.raises(SipSyntaxError):
        parse_name_addr(raw)


@pytest.mark.parametrize("raw", [b"", b"<>", b"< sip:a@h >", b"nothing"])
def test_name_addr_with_a_bad_uri_is_refused_when_the_uri_is_asked_for(raw: bytes) -> None:
    with pytest.raises(SipSyntaxError):
        parse_name_addr(raw).parsed_uri()


def test_name_addr_renders_to_what_parses_the_same() -> None:
    parsed = parse_name_addr(bytes(NameAddr(rb'"a \"b\""', b"sip:a@h", {b"tag": b"1", b"lr": None})))
    assert (parsed.display, parsed.uri, parsed.params) == (b'a "b"', b"sip:a@h", {b"tag": b"1", b"lr": None})


def test_format_name_addr_quotes_the_display_name() -> None:
    assert format_name_addr(b'a"b\r\nVia: x', b"sip:a@h", {b"tag": b"1"}) == b'"a\\"b  Via: x" <sip:a@h>;tag=1'
    assert format_name_addr(b"", b"sip:a@h") == b"<sip:a@h>"


def test_via_is_taken_apart() -> None:
    via = parse_via(b"SIP/2.0/UDP Host.Example.com:5070;branch=z9hG4bKabc;rport;received=10.0.0.9")
    assert (via.transport, via.host, via.port, via.branch) == (b"UDP", b"host.example.com", 5070, b"z9hG4bKabc")
    assert via.params[b"rport"] is None
    assert via.params[b"received"] == b"10.0.0.9"
    assert via.has_cookie
    assert bytes(via) == b"SIP/2.0/UDP host.example.com:5070;branch=z9hG4bKabc;rport;received=10.0.0.9"


def test_via_with_white_space_everywhere_is_read() -> None:
    via = parse_via(b"SIP  /    2.0   / UDP  192.168.255.111   ; branch= z9hG4bK30239")
    assert (via.transport, via.host, via.port, via.branch) == (b"UDP", b"192.168.255.111", None, b"z9hG4bK30239")


def test_via_with_an_ipv6_host_and_unknown_transport_is_read() -> None:
    via = parse_via(b"sip/2.0/sctp [2001:db8::9:1]:5060;received=2001:db8::9:255;branch=z9hG4bKas3")
    assert (via.transport, via.host, via.port) == (b"SCTP", b"[2001:db8::9:1]", 5060)
    assert via.params[b"received"] == b"2001:db8::9:255"


@pytest.mark.parametrize(
    ("raw", "branch"),
    [(b"SIP/2.0/UDP h", None), (b"SIP/2.0/UDP h;branch=390skdjuw", b"390skdjuw"),
     (b"SIP/2.0/UDP h;branch=z9hG4bK", b"z9hG4bK"), (b"SIP/2.0/UDP h;branch=", None)],
)  # fmt: skip
def test_via_without_a_full_cookie_does_not_name_a_transaction(raw: bytes, branch: bytes | None) -> None:
    via = parse_via(raw)
    assert via.branch == branch
    assert not via.has_cookie


@pytest.mark.parametrize(
    "raw",
    [b"", b"SIP/2.0/UDP", b"SIP/2.0/UDP ", b"SIP/2.0/UDP 192.0.2.15;;", b"SIP/7.0/UDP h", b"HTTP/2.0/UDP h",
     b"SIP/2.0 UDP h", b"SIP/2.0/UDP h:x", b"UDP h"],
)  # fmt: skip
def test_malformed_via_is_refused(raw: bytes) -> None:
    with pytest.raises(SipSyntaxError):
        parse_via(raw)


def test_split_commas_keeps_commas_of_names_and_uris() -> None:
    assert split_commas(b'"a, b" <sip:a,b@h>, <sip:c@h>;x="1,2"') == [b'"a, b" <sip:a,b@h>', b'<sip:c@h>;x="1,2"']
    assert split_commas(b"<sip:a@h>") == [b"<sip:a@h>"]
