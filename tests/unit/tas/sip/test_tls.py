"""A node's TLS: what its files must be, and how they are replaced."""

from __future__ import annotations

import shutil
import ssl
from pathlib import Path

import pytest

from tas.sip.tls import Tls, TlsError
from tests.unit.tas.sip.pki import needs_openssl, pki

pytestmark = needs_openssl


def copied(folder: Path) -> tuple[Path, Path]:
    """The node's files, to change."""
    for source in pki().node:
        shutil.copy(source, folder)
    return folder / "node.pem", folder / "node.key"


@pytest.mark.parametrize(
    ("certificate", "key", "ca", "fault"),
    [
        ("absent.pem", None, None, "certificate: absent.pem: cannot be read; it must be a PEM file"),
        (None, "absent.key", None, "key: absent.key: cannot be read; it must be a PEM file"),
        (None, "other", None, "key values mismatch; it must be PEM, and certificate and key belong together"),
        (None, None, "absent.pem", "ca: absent.pem: No such file or directory"),
        (None, None, "key", "ca: "),
    ],
)
def test_files_that_make_no_tls_are_refused_by_key(
    certificate: str | None, key: str | None, ca: str | None, fault: str
) -> None:
    ours, our_key = pki().node
    keys = {None: our_key, "other": pki().domain[1]}
    cas = {None: pki().ca, "key": our_key}
    with pytest.raises(TlsError) as caught:
        Tls(Path(certificate or ours), keys.get(key) or Path(str(key)), cas.get(ca) or Path(str(ca)))
    assert fault in str(caught.value)


def test_key_may_stand_in_the_file_of_the_certificate(tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(b"".join(path.read_bytes() for path in pki().node))
    assert Tls(both).server is not None


def test_key_with_a_password_is_refused_instead_of_asking_for_it(tmp_path: Path) -> None:
    locked = tmp_path / "locked.key"
    locked.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n")
    with pytest.raises(TlsError, match=r"^certificate: "):
        Tls(pki().node[0], locked)


def test_minimum_version_and_what_callers_must_show_are_as_configured() -> None:
    tls = pki().tls(clients="required", minimum_version="1.3")
    assert tls.server.minimum_version == tls.client.minimum_version == ssl.TLSVersion.TLSv1_3
    assert tls.server.verify_mode == ssl.CERT_REQUIRED
    plain = pki().tls()
    assert plain.server.minimum_version == ssl.TLSVersion.TLSv1_2
    assert (plain.server.verify_mode, plain.client.verify_mode) == (ssl.CERT_NONE, ssl.CERT_REQUIRED)
    assert pki().tls(verify=False).client.verify_mode == ssl.CERT_NONE


def test_name_is_the_configured_one_else_the_address() -> None:
    tls = pki().tls(names={("192.0.2.9", 5061): "pbx.example.com"})
    assert tls.name_of(("192.0.2.9", 5061)) == "pbx.example.com"
    assert tls.name_of(("192.0.2.9", 5071)) == "192.0.2.9"


def test_changed_file_is_noticed_once_and_read_into_new_contexts(tmp_path: Path) -> None:
    certificate, key = copied(tmp_path)
    tls = Tls(certificate, key)
    before = tls.server
    assert not tls.changed()
    for source, target in zip(pki().successor, (certificate, key), strict=True):
        shutil.copy(source, target)
    assert tls.changed()
    tls.reload()
    assert not tls.changed()
    assert tls.server is not before


def test_half_replaced_files_leave_the_old_contexts_until_the_other_half_is_there(tmp_path: Path) -> None:
    certificate, key = copied(tmp_path)
    tls = Tls(certificate, key)
    before = tls.server
    shutil.copy(pki().successor[0], certificate)
    with pytest.raises(TlsError, match="key values mismatch"):
        tls.reload()
    assert tls.server is before
    assert not tls.changed()
    shutil.copy(pki().successor[1], key)
    assert tls.changed()
    tls.reload()
    assert tls.server is not before
