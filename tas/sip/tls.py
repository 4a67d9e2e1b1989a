"""TLS of a node: which certificate it shows, whom it believes, and when its files have changed."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tas.sip.certificates import speaks_for
from tas.sip.flow import Address

VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
CLIENTS: Final = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


class TlsError(Exception):
    """Files that make no TLS; `key` is the configuration key at fault."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(f"{key}: {text}")
        self.key = key


class Tls:
    """The contexts new connections take; connections that are up keep what they began with."""

    def __init__(
        self,
        certificate: Path,
        key: Path | None = None,
        ca: Path | None = None,
        *,
        clients: str = "none",
        verify: bool = True,
        minimum_version: str = "1.2",
        names: Mapping[Address, str] | None = None,
    ) -> None:
        """Raises TlsError. `names` are those that certificates of peers we connect to must carry, else their address.

        `certificate` and `key` are PEM files, the key by default in the same; `ca` are those believed, by default the
        system's. `clients` is what callers must show: none, optional or required.
        """
        self._certificate = certificate
        self._key = key
        self._ca = ca
        self._clients = CLIENTS[clients]
        self._verify = verify
        self._minimum = VERSIONS[minimum_version]
        self._names = names or {}
        self._stamps: list[tuple[int, int, int]] = []
        self.server: ssl.SSLContext
        self.client: ssl.SSLContext
        self.reload()

    def reload(self) -> None:
        """Read the files again; raises TlsError, and then all stays as it was."""
        self._stamps = self._look()
        self.server, self.client = self._make_server(), self._make_client()

    def changed(self) -> bool:
        """Whether a file is another than at the last try to read it."""
        return self._look() != self._stamps

    def name_of(self, remote: Address) -> str:
        """The name that the certificate of a peer we connect to must carry."""
        return self._names.get(remote) or remote[0]

    def believes(self, connection: ssl.SSLObject | None, remote: Address) -> bool:
        """Whether a peer we have connected to is who it should be (RFC 5922 §7.3); the chain is checked already."""
        certificate = connection.getpeercert() if connection is not None and self._verify else None
        return not self._verify or (certificate is not None and speaks_for(certificate, self.name_of(remote)))

    def _make_server(self) -> ssl.SSLContext:
        context = self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        context.verify_mode = self._clients
        return context

    def _make_client(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # by `believes`: SIP has its own rules for names
        context.verify_mode = ssl.CERT_REQUIRED if self._verify else ssl.CERT_NONE
        return self._load(context)

    def _load(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = self._minimum
        context.options |= ssl.OP_NO_RENEGOTIATION  # a peer's way to make the node work for nothing
        try:
            context.load_cert_chain(self._certificate, self._key, password=_no_password)
        except (OSError, ValueError) as error:
            raise self._fault(error) from error
        try:
            if self._ca is None:
                context.load_default_certs()
            else:
                context.load_verify_locations(self._ca)
        except (OSError, ValueError) as error:
            raise TlsError("ca", f"{self._ca}: {_reason(error)}") from error
        return context

    def _fault(self, error: Exception) -> TlsError:
        for key, path in (("certificate", self._certificate), ("key", self._key)):
            if path is not None and not path.is_file():
                return TlsError(key, f"{path}: cannot be read; it must be a PEM file")
        both = f"{self._certificate}" + (f" and key {self._key}" if self._key else " (with its key in the same file)")
        return TlsError("certificate", f"{both}: {_reason(error)}")

    def _look(self) -> list[tuple[int, int, int]]:
        return [_stamp(path) for path in (self._certificate, self._key, self._ca) if path is not None]


def _no_password() -> str:
    raise ValueError("the key has a password; it must have none")


def _reason(error: Exception) -> str:
    """What went wrong, without OpenSSL's place in its own source."""
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "not readable as PEM").lower().replace("_", " ")
        return f"{reason}; it must be PEM, and certificate and key belong together"
    return str(getattr(error, "strerror", None) or error)


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0, 0
    return found.st_mtime_ns, found.st_size, found.st_ino
