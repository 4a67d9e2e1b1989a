"""A call manager over TLS: calls out to it with sound when its certificate is good, and none when it is another's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasctl.lab.certificates import Authority, prepare_certificates
from tests.system.support import audio, baresip
from tests.system.support.lab import Lab, copy_configs, wait_for
from tests.system.support.parties import is_idle, seconds_of_sound

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not baresip.installed(), reason="baresip is not installed (make setup installs baresip-core)"),
]

NUMBER = "0451234"
AGENT = "1001"
AGENT_TONE = 1000.0
OUTSIDE_TONE = 700.0


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    configs = copy_configs(folder / "configs", {"trunks.toml": {'transport = "udp"': 'transport = "tls"'}})
    lab = Lab(folder / "var", tas=1, media=1, configs=configs)
    lab.start()
    yield lab
    lab.stop()


def call_manager(lab: Lab, folder: Path, address: str) -> baresip.Baresip:
    """Listens for TLS where calls out go, with a certificate of the lab's CA for `address`."""
    folder.mkdir()
    prepare_certificates(lab.var)
    authority = Authority(lab.var / "tls")
    both = folder / "both.pem"
    both.write_bytes(b"".join(path.read_bytes() for path in authority.issue("pbx", [f"IP:{address}"])))
    outside = baresip.Baresip(
        folder / "outside",
        NUMBER,
        server=lab.sip(1),
        host="127.0.0.2",
        register=False,
        tone=OUTSIDE_TONE,
        port=lab.pbx_port() - 1,
        certificate=both,
    )
    outside.start()
    return outside


@pytest.fixture
def phone(lab: Lab, tmp_path: Path) -> Iterator[baresip.Baresip]:
    phone = baresip.Baresip(tmp_path / "phone", AGENT, server=lab.sip(1), password=f"lab-{AGENT}", tone=AGENT_TONE)
    phone.start()
    lab.wait_agent(AGENT, "Ready")
    yield phone
    phone.stop()
    lab.wait_agent(AGENT, "LoggedOut")


@pytest.mark.parametrize("outside_hangs_up", [False, True])
def test_agent_calls_out_over_tls_with_sound(
    lab: Lab, phone: baresip.Baresip, tmp_path: Path, outside_hangs_up: bool
) -> None:
    outside = call_manager(lab, tmp_path / "pbx", "127.0.0.2")
    try:
        phone.dial(NUMBER)
        lab.wait_agent(AGENT, "Talking")
        wait_for(lambda: min(map(seconds_of_sound, (phone, outside))) > 3, timeout_s=10, what="3 s of sound")
        (outside if outside_hangs_up else phone).hang_up()
        lab.wait_agent(AGENT, "Ready")
        wait_for(lambda: is_idle(phone) and is_idle(outside), timeout_s=5, what="both ends idle")
    finally:
        outside.stop()
    for end, tone in ((phone, OUTSIDE_TONE), (outside, AGENT_TONE)):
        heard = audio.judge(audio.read_wav(end.heard()[-1]), tone)
        assert heard.share >= 0.9, heard
        assert heard.longest_gap_ms <= 60, heard


def test_call_manager_with_the_certificate_of_another_gets_no_call(
    lab: Lab, phone: baresip.Baresip, tmp_path: Path
) -> None:
    before = len(lab.cdrs())
    outside = call_manager(lab, tmp_path / "pbx", "127.0.0.77")
    try:
        phone.dial(NUMBER)
        (cdr,) = wait_for(lambda: lab.cdrs()[before:], timeout_s=10, what="the call's CDR")
        assert cdr["result"] != "answered", cdr
        assert "incoming" not in outside.log.read_text().lower()
    finally:
        outside.stop()
