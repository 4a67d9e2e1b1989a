"""Certificates for the tests of TLS: a node's, its successor's, one of another name, one of an unknown authority."""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path

import pytest

from tas.sip.tls import Tls
from tasctl.lab.certificates import Authority

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed (make setup)")


class Pki:
    """Files below a folder; each certificate is (certificate, key)."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.authority.create()
        self.ca = self.authority.certificate
        self.node = self.authority.issue("node", ["IP:127.0.0.1"])
        self.successor = self.authority.issue("successor", ["IP:127.0.0.1"])
        self.domain = self.authority.issue("domain", ["URI:sip:pbx.example.com", "DNS:other.example.com"])
        strangers = folder / "strangers"
        strangers.mkdir()
        stranger = Authority(strangers)
        stranger.create("Strangers")
        self.stranger_ca = stranger.certificate
        self.stranger = stranger.issue("stranger", ["IP:127.0.0.1"])

    def tls(self, files: tuple[Path, Path] | None = None, **options: object) -> Tls:
        """A node's TLS that believes our authority."""
        certificate, key = files or self.node
        return Tls(certificate, key, self.ca, **options)  # type: ignore[arg-type]


@cache
def pki() -> Pki:
    """Made once a process (0.3 s); removed with the machine's temporary files."""
    return Pki(Path(tempfile.mkdtemp(prefix="opentas-pki-")))
