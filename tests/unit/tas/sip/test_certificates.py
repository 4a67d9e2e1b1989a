"""Whose certificate it is: RFC 5922's rules."""

from __future__ import annotations

from typing import Any

import pytest

from tas.sip.certificates import identities, speaks_for

SUBJECT = ((("organizationName", "Example"),), (("commonName", "Old.example.com"),))


def certificate(*names: tuple[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {"subject": SUBJECT}
    return found | ({"subjectAltName": names} if names else {})


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([("URI", "sip:Example.com"), ("DNS", "host.example.com")], ["example.com"]),
        ([("URI", "sip:a.example.com"), ("URI", "SIP:b.example.com")], ["a.example.com", "b.example.com"]),
        ([("URI", "sips:example.com"), ("DNS", "Host.example.com")], ["host.example.com"]),
        ([("URI", "sip:alice@example.com"), ("DNS", "host.example.com")], ["host.example.com"]),
        ([("DNS", "host.example.com"), ("IP Address", "192.0.2.1")], ["host.example.com", "192.0.2.1"]),
        ([("IP Address", "2001:DB8:0:0:0:0:0:1")], ["2001:db8::1"]),
        ([("email", "a@example.com")], []),
        ([], ["old.example.com"]),
    ],
    ids=["sip URI before DNS", "two URIs", "sips is no identity", "user is no domain", "DNS and IP", "IPv6",
         "no common name beside others", "common name alone"],
)  # fmt: skip
def test_identities_are_those_of_rfc_5922(names: list[tuple[str, str]], expected: list[str]) -> None:
    assert identities(certificate(*names)) == expected


@pytest.mark.parametrize(
    ("names", "name", "ours"),
    [
        ([("DNS", "pbx.example.com")], "PBX.example.com", True),
        ([("DNS", "pbx.example.com")], "example.com", False),
        ([("DNS", "*.example.com")], "pbx.example.com", False),
        ([("IP Address", "127.0.0.1")], "127.0.0.1", True),
        ([("IP Address", "127.0.0.1")], "127.0.0.2", False),
        ([("IP Address", "2001:DB8:0:0:0:0:0:1")], "2001:db8::1", True),
    ],
)
def test_name_must_be_equal_and_wildcards_match_nothing(names: list[tuple[str, str]], name: str, ours: bool) -> None:
    assert speaks_for(certificate(*names), name) is ours
