import pytest

from tas.sip.names import COMPACT, PREFIXES, REASONS, SPELLINGS, SipSyntaxError, canonical_name, wire_prefix


@pytest.mark.parametrize(
    ("spelling", "name"),
    [(b"Call-ID", b"call-id"), (b"CALL-ID", b"call-id"), (b"call-id", b"call-id"), (b"Call-Id", b"call-id"),
     (b"i", b"call-id"), (b"I", b"call-id"), (b"MaX-fOrWaRdS", b"max-forwards"), (b"TO ", b"to"), (b"Via\t", b"via"),
     (b"l", b"content-length"), (b"Content-Length   ", b"content-length"), (b"X-Own", b"x-own")],
)  # fmt: skip
def test_every_spelling_has_one_canonical_name(spelling: bytes, name: bytes) -> None:
    assert canonical_name(spelling) == name


@pytest.mark.parametrize("raw", [b"", b" To", b"a b", b"X\x00", b"(x)"])
def test_header_name_that_is_no_token_is_refused(raw: bytes) -> None:
    with pytest.raises(SipSyntaxError, match="malformed header name"):
        canonical_name(raw)


def test_compact_forms_name_known_headers() -> None:
    assert {name for name in COMPACT.values() if name not in PREFIXES} == {b"content-length"}


def test_content_length_stays_out_of_the_fast_tables() -> None:
    assert b"content-length" not in SPELLINGS.values()
    assert b"content-length" not in PREFIXES


def test_wire_prefix_has_the_registered_spelling_or_capitals() -> None:
    assert wire_prefix(b"www-authenticate") == b"\r\nWWW-Authenticate: "
    assert wire_prefix(b"x-own-header") == b"\r\nX-Own-Header: "


def test_reasons_cover_what_the_layer_answers() -> None:
    needed = (100, 180, 200, 400, 401, 403, 404, 405, 408, 415, 416, 420, 423, 480, 481, 482, 483, 486, 487, 488, 491,
              500, 501, 503, 505, 513, 603)  # fmt: skip
    assert all(REASONS[status] for status in needed)
