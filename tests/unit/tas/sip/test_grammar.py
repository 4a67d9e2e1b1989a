import pytest

from tas.sip.grammar import (
    MAX_HOST_BYTES,
    SipSyntaxError,
    end_of_quoted,
    is_token,
    parse_host_port,
    parse_number,
    parse_params,
    quote,
    split_outside,
    unescape,
    unquote,
)


def test_is_token_takes_the_rfc_characters_and_nothing_else() -> None:
    assert is_token(b"!interesting-Method0123456789_*+`.%indeed'~")
    assert not is_token(b"")
    assert not is_token(b"with space")
    assert not is_token("é".encode())


def test_number_with_leading_zeros_is_read() -> None:
    assert parse_number(b"0068", "Max-Forwards", 255) == 68


@pytest.mark.parametrize("raw", [b"", b"-1", b"1 ", b"0x10", b"9" * 5000])
def test_number_that_is_none_is_refused(raw: bytes) -> None:
    with pytest.raises(SipSyntaxError, match="CSeq is not a number"):
        parse_number(raw, "CSeq", 10)


def test_number_over_its_limit_is_refused() -> None:
    assert parse_number(b"255", "Max-Forwards", 255) == 255
    with pytest.raises(SipSyntaxError, match="Max-Forwards out of range"):
        parse_number(b"256", "Max-Forwards", 255)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"Example.COM", (b"example.com", None)),
        (b"10.0.0.1:5060", (b"10.0.0.1", 5060)),
        (b"[2001:DB8::1]", (b"[2001:db8::1]", None)),
        (b"[2001:db8::9:1]:65535", (b"[2001:db8::9:1]", 65535)),
        (b"tas_1:5060", (b"tas_1", 5060)),
        (b"host : 5060", (b"host", 5060)),
    ],
)
def test_host_and_port_are_split(raw: bytes, expected: tuple[bytes, int | None]) -> None:
    assert parse_host_port(raw) == expected


@pytest.mark.parametrize(
    "raw",
    [b"", b":5060", b"host:", b"host:0", b"host:65536", b"host:123456", b"host:a", b"[::1", b"[]", b"[::1]5060",
     b"[::zz]", b"2001:db8::1", b"ho st", b"a@b", b"host:+1"],
)  # fmt: skip
def test_malformed_host_or_port_is_refused(raw: bytes) -> None:
    with pytest.raises(SipSyntaxError):
        parse_host_port(raw)


def test_unescape_keeps_a_percent_sign_that_is_no_escape() -> None:
    assert unescape(b"%75se%72 %Z%45 100%") == b"user %ZE 100%"


@pytest.mark.parametrize(
    ("raw", "end"),
    [(b'"a" b', 3), (rb'"a\"b"c', 6), (rb'"a\\"b"', 5), (rb'"J Rosenberg \\\""<', 18), (b'""', 2)],
)
def test_end_of_quoted_skips_escaped_quotes(raw: bytes, end: int) -> None:
    assert end_of_quoted(raw, 0) == end


@pytest.mark.parametrize("raw", [b'"', b'"abc', rb'"abc\"', rb'"\\\"'])
def test_end_of_quoted_refuses_an_open_string(raw: bytes) -> None:
    with pytest.raises(SipSyntaxError, match="unbalanced quotes"):
        end_of_quoted(raw, 0)


def test_unquote_resolves_escapes_and_leaves_tokens_alone() -> None:
    assert unquote(rb'"say \"hi\" \\ there"') == rb'say "hi" \ there'
    assert unquote(b"token") == b"token"
    assert unquote(b'"') == b'"'


def test_quote_is_undone_by_unquote_and_takes_out_line_breaks() -> None:
    assert unquote(quote(rb'a "b" \ c')) == rb'a "b" \ c'
    assert quote(b"a\r\nVia: x\x00") == b'"a  Via: x "'


def test_split_outside_respects_quotes_and_brackets() -> None:
    assert split_outside(rb'"a, \", b" <sip:a,b@c> , <sip:d>,e', b",") == [rb'"a, \", b" <sip:a,b@c>', b"<sip:d>", b"e"]
    assert split_outside(b" a ,, b", b",") == [b"a", b"", b"b"]


def test_split_outside_refuses_an_open_bracket() -> None:
    with pytest.raises(SipSyntaxError, match="unbalanced angle brackets"):
        split_outside(b"<sip:a, b", b",")


def test_params_are_lower_case_names_with_values_as_received() -> None:
    parsed = parse_params(b';Tag = 98asjd8 ; lr;X="a;b\\"";empty=')
    assert parsed == {b"tag": b"98asjd8", b"lr": None, b"x": b'"a;b\\""', b"empty": b""}


@pytest.mark.parametrize("raw", [b";;", b";", b";=1", b"x;tag=1", b";a b=1", b';x="'])
def test_malformed_params_are_refused(raw: bytes) -> None:
    with pytest.raises(SipSyntaxError):
        parse_params(raw)


def test_host_is_accepted_at_its_limit_and_refused_beyond() -> None:
    assert parse_host_port(b"a" * MAX_HOST_BYTES) == (b"a" * MAX_HOST_BYTES, None)
    with pytest.raises(SipSyntaxError, match="malformed host"):
        parse_host_port(b"a" * (MAX_HOST_BYTES + 1))
    with pytest.raises(SipSyntaxError, match="malformed IPv6 address"):
        parse_host_port(b"[" + b"1" * MAX_HOST_BYTES + b"]")
