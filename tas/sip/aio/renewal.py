"""Renewed certificates: read again when their files change or when asked to; connections that are up stay."""

from __future__ import annotations

import asyncio
from typing import Final

from common.service.logs import get_logger
from tas.sip.tls import Tls, TlsError

LOOK_S: Final = 10.0
"""How often the files are looked at: far below the overlap of an old certificate and its successor."""

_log = get_logger("tls")


class Renewal:
    """Keeps one `Tls` up to date."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look at the files from now on."""
        self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def reload(self) -> None:
        """Read the files now (SIGHUP); when they are no good, the old certificate stays."""
        try:
            self._tls.reload()
        except TlsError as error:
            _log.error("certificate not renewed, the old one stays", fault=f"sip.tls.{error}")
        else:
            _log.info("certificate read again")

    def _look(self) -> None:
        if self._tls.changed():
            self.reload()
        self.start()
