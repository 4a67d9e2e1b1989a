"""Renewed certificates: read again on demand and when the files change, on a real loop."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tas.sip.aio import renewal
from tas.sip.aio.renewal import Renewal
from tas.sip.tls import Tls
from tests.unit.tas.sip.aio.door import until
from tests.unit.tas.sip.pki import needs_openssl, pki

pytestmark = needs_openssl


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    for source in pki().node:
        shutil.copy(source, tmp_path)
    return Tls(tmp_path / "node.pem", tmp_path / "node.key")


async def test_reload_reads_the_files_and_keeps_the_old_certificate_when_they_are_no_good(
    tls: Tls, tmp_path: Path
) -> None:
    before = tls.server
    Renewal(tls).reload()
    renewed = tls.server
    assert renewed is not before
    (tmp_path / "node.pem").write_text("broken")
    Renewal(tls).reload()
    assert tls.server is renewed


async def test_changed_files_are_found_while_it_runs_and_not_after(
    tls: Tls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, "LOOK_S", 0.001)
    watch = Renewal(tls)
    before = tls.server
    watch.start()
    for source, name in zip(pki().successor, ("node.pem", "node.key"), strict=True):
        shutil.copy(source, tmp_path / name)
    await until(lambda: tls.server is not before)
    watch.stop()
    assert watch._timer is None
