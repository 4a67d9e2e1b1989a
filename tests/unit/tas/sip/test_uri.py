import pytest

from tas.sip.uri import SipSyntaxError, Uri, escape_user, parse_uri


def test_full_sip_uri_is_taken_apart() -> None:
    uri = parse_uri(b"SIPS:alice:secret@Atlanta.COM:5061;Transport=TCP;lr?Subject=hi&x=y")
    assert (uri.scheme, uri.user, uri.password) == (b"sips", b"alice", b"secret")
    assert (uri.host, uri.port) == (b"atlanta.com", 5061)
    assert uri.params == {b"transport": b"TCP", b"lr": None}
    assert uri.headers == b"Subject=hi&x=y"


def test_uri_without_user_has_none() -> None:
    uri = parse_uri(b"sip:example.com")
    assert (uri.user, uri.host, uri.port, uri.params) == (None, b"example.com", None, {})


def test_ipv6_host_keeps_its_brackets() -> None:
    uri = parse_uri(b"sip:1001@[2001:DB8::10]:5070;transport=udp")
    assert (uri.user, uri.host, uri.port) == (b"1001", b"[2001:db8::10]", 5070)


def test_user_with_semicolons_and_question_marks_ends_at_the_at_sign() -> None:
    # RFC 4475 §3.1.1.2 and §3.1.1.9
    assert parse_uri(b"sip:user;par=u%40example.net@example.com").user == b"user;par=u@example.net"
    odd = parse_uri(b"sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com")
    assert (odd.user, odd.host) == (b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*", b"example.com")


def test_escapes_in_user_and_parameter_names_are_resolved() -> None:
    uri = parse_uri(b"sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue")
    assert uri.user == b"caller"
    assert b"lr" in uri.params
    assert uri.params[b"name"] == b"v%61lue"
    assert parse_uri(b"sip:%00%00@h").user == b"\0\0"


def test_tel_uri_has_its_number_as_user() -> None:
    uri = parse_uri(b"tel:+46-8-7570000;phone-context=example.com")
    assert (uri.scheme, uri.user, uri.host) == (b"tel", b"+46-8-7570000", b"")
    assert uri.params == {b"phone-context": b"example.com"}


def test_unknown_scheme_is_opaque_and_kept() -> None:
    uri = parse_uri(b"nobodyKnowsThisScheme:totallyopaquecontent")
    assert (uri.scheme, uri.user, uri.host) == (b"nobodyknowsthisscheme", None, b"")
    assert uri.raw() == b"nobodyKnowsThisScheme:totallyopaquecontent"


@pytest.mark.parametrize(
    "raw",
    [b"", b"sip", b"sip:", b":user@host", b"sip:@host", b"sip:user@", b"sip:us er@host", b"<sip:user@host>",
     b"sip:a@b@c", b"sip:user@host:0", b"sip:user@host;;lr", b"sip:user@host;=x", b"sip:user@host\r\nVia: x",
     b"1sip:user@host", b"sip:user@[::1", b'sip:"a"@host', b"sip:host;a b"],
)  # fmt: skip
def test_malformed_uri_is_refused(raw: bytes) -> None:
    with pytest.raises(SipSyntaxError):
        parse_uri(raw)


def test_raw_gives_back_what_was_parsed() -> None:
    raw = b"sip:%75ser@EXAMPLE.com:5060;X=Y"
    assert parse_uri(raw).raw() == raw
    assert bytes(parse_uri(raw)) == raw


def test_built_uri_is_rendered_with_its_user_escaped() -> None:
    uri = Uri(b"sip", b"a b\r\n@c", b"host", 5070, {b"lr": None, b"transport": b"tcp"}, headers=b"a=b")
    assert uri.raw() == b"sip:a%20b%0D%0A%40c@host:5070;lr;transport=tcp?a=b"
    assert parse_uri(uri.raw()).user == uri.user
    assert Uri(b"tel", b"+4687570000", b"").raw() == b"tel:+4687570000"
    assert Uri(b"sip", b"u", b"h", password=b"p").raw() == b"sip:u:p@h"


def test_escape_user_leaves_ordinary_numbers_alone() -> None:
    assert escape_user(b"+46(8)757") == b"+46(8)757"


def test_address_leaves_port_and_parameters_out() -> None:
    assert parse_uri(b"sip:1001:pw@Opentas:5060;transport=tcp").address() == b"sip:1001@opentas"
    assert parse_uri(b"sip:opentas").address() == b"sip:opentas"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (b"sip:%61lice@atlanta.com;transport=TCP", b"sip:alice@AtlanTa.CoM;Transport=tcp"),
        (b"sip:carol@chicago.com", b"sip:carol@chicago.com;newparam=5"),
        (b"sip:carol@chicago.com;newparam=5", b"sip:carol@chicago.com;security=on"),
        (b"tel:+1", b"tel:+1"),
    ],
)
def test_equivalent_uris_of_rfc3261_19_1_4(left: bytes, right: bytes) -> None:
    assert parse_uri(left).equivalent(parse_uri(right))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (b"SIP:ALICE@AtLanTa.CoM", b"sip:alice@atlanta.com"),
        (b"sip:bob@biloxi.com", b"sip:bob@biloxi.com:5060"),
        (b"sip:bob@biloxi.com", b"sip:bob@biloxi.com;transport=udp"),
        (b"sip:carol@chicago.com;security=on", b"sip:carol@chicago.com;security=off"),
        (b"sip:carol@chicago.com", b"sip:carol@chicago.com?Subject=next"),
        (b"tel:+1", b"tel:+2"),
        (b"urn:a", b"urn:b"),
    ],
)
def test_different_uris_of_rfc3261_19_1_4(left: bytes, right: bytes) -> None:
    assert not parse_uri(left).equivalent(parse_uri(right))


def test_short_uris_are_kept_parsed_and_long_ones_are_not() -> None:
    short, long = b"sip:kept@example.com", b"sip:" + b"a" * 300 + b"@example.com"
    assert parse_uri(short) is parse_uri(bytes(bytearray(short)))
    assert parse_uri(long) is not parse_uri(long)
    assert parse_uri(long).user == b"a" * 300
