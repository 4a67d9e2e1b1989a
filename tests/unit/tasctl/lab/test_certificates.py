"""The lab's certificates: made once, believed by who believes its CA, made anew when they end."""

from __future__ import annotations

import shutil
import ssl
import stat
from pathlib import Path

import pytest

from tas.sip.certificates import identities
from tas.sip.tls import Tls
from tasctl.lab import certificates
from tasctl.lab.certificates import CertificateError, prepare_certificates

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed (make setup)")


def test_certificates_are_made_once_and_their_keys_closed_to_others(tmp_path: Path) -> None:
    made = prepare_certificates(tmp_path)
    before = made.certificate.read_bytes()
    assert prepare_certificates(tmp_path) == made
    assert made.certificate.read_bytes() == before
    keys = [path for path in (tmp_path / "tls").iterdir() if path.suffix == ".key"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}
    assert Tls(made.certificate, made.key, made.ca).client.get_ca_certs()


def test_node_certificate_is_of_the_lab_address_and_signed_by_its_ca(tmp_path: Path) -> None:
    made = prepare_certificates(tmp_path)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = Tls(made.certificate, made.key, made.ca)
    client = tls.client.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    server = tls.server.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert identities(client.getpeercert() or {}) == ["localhost", "opentas", "127.0.0.1"]


@pytest.mark.parametrize("name", ["ca.pem", "ca.key", "node.pem", "node.key"])
def test_lost_file_brings_new_certificates(tmp_path: Path, name: str) -> None:
    made = prepare_certificates(tmp_path)
    (tmp_path / "tls" / name).unlink()
    prepare_certificates(tmp_path)
    assert Tls(made.certificate, made.key, made.ca).server is not None


def test_certificate_that_ends_soon_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = prepare_certificates(tmp_path).certificate.read_bytes()
    monkeypatch.setattr(certificates, "RENEW_S", (certificates.DAYS + 1) * 86_400)
    assert prepare_certificates(tmp_path).certificate.read_bytes() != before


def test_missing_openssl_is_told_with_what_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CertificateError, match="openssl command is not installed"):
        prepare_certificates(tmp_path)
