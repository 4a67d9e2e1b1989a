"""The judges themselves: SIPp and baresip without OpenTAS between them, and a positive control for each verdict."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest

from tests.system.support import audio, baresip, sipp

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not sipp.installed(), reason="sipp is not installed (make setup installs sip-tester)"),
    pytest.mark.skipif(not baresip.installed(), reason="baresip is not installed (make setup installs baresip-core)"),
]


@pytest.mark.parametrize(("law", "codec"), [("a-law", "pcma"), ("u-law", "pcmu")])
def test_sipp_calls_baresip_directly_and_baresip_hears_the_tone(tmp_path: Path, law: str, codec: str) -> None:
    phone = baresip.Baresip(tmp_path / "phone", "1001", server=("127.0.0.1", 9), register=False, codec=codec)
    phone.start()
    try:
        folder = tmp_path / "sipp"
        folder.mkdir()
        sipp.write_g711_tone(folder / "tone.raw", 700, 5, law)
        call = sipp.Sipp(folder, f"uac_tone_{codec}.xml", phone.address, host="127.0.0.2", number="1001")
        call.extra = ["-d", "3000"]
        counts = call.run()
        assert (counts.successful, counts.failed) == (1, 0), call.errors()
    finally:
        phone.stop()
    heard = audio.judge(audio.read_wav(phone.heard()[-1]), 700)
    assert heard.share >= 0.9, heard
    assert heard.longest_gap_ms <= 60, heard
    assert heard.seconds >= 2.0, heard


def test_sipp_counts_a_call_to_nobody_as_failed(tmp_path: Path) -> None:
    call = sipp.Sipp(tmp_path, "uac_call.xml", ("127.0.0.1", baresip.free_port()), host="127.0.0.2", timeout_s=3)
    counts = call.run()
    assert counts.successful == 0


def test_judge_finds_a_gap_and_a_wrong_tone(tmp_path: Path) -> None:
    tone = audio.read_wav(audio.write_tone(tmp_path / "tone.wav", 700, 2.0))
    assert audio.judge(tone, 700) == audio.Heard(1.0, 0, 2.0)
    assert audio.judge(tone, 1000).share == 0.0
    broken = tone[:8000] + array("h", bytes(2 * 1600)) + tone[8000:]
    assert audio.judge(broken, 700).longest_gap_ms == 200
