"""The lab's own certificate authority and the certificate its nodes show, made by the openssl command."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tasctl.lab.plan import HOST, Certificates
from tasctl.lab_file import write_private

DAYS: Final = 800
"""Some clients refuse server certificates that are good for more than 825 days."""
RENEW_S: Final = 30 * 86_400
"""A certificate that ends so soon is made anew at the lab's next start."""
CONFIG: Final = """\
[req]
distinguished_name = name
x509_extensions = authority
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""
"""Of our own: what stands in the machine's openssl.cnf is anybody's guess."""
NAMES: Final = (f"IP:{HOST}", "DNS:localhost", "DNS:opentas")
TIMEOUT_S: Final = 30.0


class CertificateError(Exception):
    """No certificate could be made; the text says why."""


def prepare_certificates(var: Path) -> Certificates:
    """CA and node certificate of this var folder, made once; raises CertificateError."""
    folder = var / "tls"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = Authority(folder)
    found = Certificates(authority.certificate, folder / "node.pem", folder / "node.key")
    if not (_is_good(found.ca) and _is_good(found.certificate) and found.key.exists() and authority.key.exists()):
        authority.create()
        authority.issue("node", NAMES)
    return found


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.certificate = folder / "ca.pem"
        self.key = folder / "ca.key"

    def create(self, name: str = "OpenTAS lab CA") -> None:
        """Make its key and certificate."""
        _make_key(self.key)
        request = ["req", "-x509", "-new", "-key", str(self.key), "-out", str(self.certificate), "-days", str(DAYS)]
        _openssl(*request, "-subj", f"/CN={name}", "-config", str(self._write_config()))

    def issue(self, file: str, names: Sequence[str], *, common_name: str = "OpenTAS") -> tuple[Path, Path]:
        """Make `file`.pem and `file`.key, for servers and clients, with these subjectAltNames (none: without any)."""
        certificate, key = self._folder / f"{file}.pem", self._folder / f"{file}.key"
        request, extensions = self._folder / f"{file}.csr", self._folder / f"{file}.ext"
        _make_key(key)
        subject = ["-subj", f"/CN={common_name}", "-config", str(self._write_config())]
        _openssl("req", "-new", "-key", str(key), "-out", str(request), *subject)
        lines = ["extendedKeyUsage=serverAuth,clientAuth", "basicConstraints=CA:FALSE"]
        lines += [f"subjectAltName={','.join(names)}"] if names else []
        extensions.write_text("\n".join(lines) + "\n")
        signing = ["-CA", str(self.certificate), "-CAkey", str(self.key), "-CAcreateserial", "-days", str(DAYS)]
        _openssl("x509", "-req", "-in", str(request), "-out", str(certificate), *signing, "-extfile", str(extensions))
        request.unlink()
        extensions.unlink()
        return certificate, key

    def _write_config(self) -> Path:
        path = self._folder / "openssl.cnf"
        path.write_text(CONFIG)
        return path


def _make_key(path: Path) -> None:
    key = _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    write_private(path, key)


def _is_good(certificate: Path) -> bool:
    if not certificate.exists():
        return False
    try:
        _openssl("x509", "-in", str(certificate), "-noout", "-checkend", str(RENEW_S))
    except CertificateError:
        return False
    return True


def _openssl(*arguments: str) -> bytes:
    try:
        done = subprocess.run(["openssl", *arguments], capture_output=True, timeout=TIMEOUT_S, check=False)
    except FileNotFoundError:
        raise CertificateError("the openssl command is not installed (make setup installs it)") from None
    except subprocess.TimeoutExpired:
        raise CertificateError(f"openssl {arguments[0]} took longer than {TIMEOUT_S:.0f} s") from None
    if done.returncode:
        raise CertificateError(f"openssl {arguments[0]}: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return done.stdout
