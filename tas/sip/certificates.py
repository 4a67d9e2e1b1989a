"""Whose certificate it is: the identities that SIP accepts in one (RFC 5922 §7)."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

Certificate = Mapping[str, Any]
"""As `ssl.SSLSocket.getpeercert()` gives it."""


def identities(certificate: Certificate) -> list[str]:
    """Domains and IP addresses the certificate speaks for, in lower case (§7.1)."""
    names = certificate.get("subjectAltName", ())
    if not names:  # only then the common name counts
        subject = certificate.get("subject", ())
        return [value.lower() for part in subject for kind, value in part if kind == "commonName"]
    domains = list(_sip_domains(names)) or [value.lower() for kind, value in names if kind == "DNS"]
    # Targets here are IP addresses, of which RFC 5922 says nothing; RFC 5280 has a form of its own for them.
    return domains + [_plain_address(value) for kind, value in names if kind == "IP Address"]


def speaks_for(certificate: Certificate, name: str) -> bool:
    """Whether the certificate is one of `name`, a domain or an IP address; wildcards match nothing (§7.2)."""
    return _plain_address(name) in identities(certificate)


def _sip_domains(names: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for kind, value in names:
        scheme, _, host = value.partition(":")
        if kind == "URI" and scheme.lower() == "sip" and host and "@" not in host:
            yield host.lower()


def _plain_address(text: str) -> str:
    try:
        return ip_address(text.strip()).compressed
    except ValueError:
        return text.strip().lower()
