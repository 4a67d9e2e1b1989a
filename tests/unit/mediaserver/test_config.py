"""mediaserver/config.py"""

from __future__ import annotations

from pathlib import Path

import pytest

from common.service.config import ConfigError, load_settings
from mediaserver.config import ENV_PREFIX, MediaServerSettings

LAB = Path(__file__).resolve().parents[3] / "configs" / "lab" / "mediaserver.toml"


def load(tmp_path: Path, text: str) -> MediaServerSettings:
    path = tmp_path / "mediaserver.toml"
    path.write_text(text)
    return load_settings(MediaServerSettings, path, env_prefix=ENV_PREFIX)


def test_lab_file_is_what_the_defaults_are() -> None:
    assert load_settings(MediaServerSettings, LAB, env_prefix=ENV_PREFIX) == MediaServerSettings()


def test_environment_overrides_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENTAS_MEDIASERVER__ENGINE__CONNECTION_POINTS", "20")
    assert load(tmp_path, "[engine]\nconnection_points = 30\n").engine.connection_points == 20


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('colour = "red"', "colour: unknown key"),
        ("[engine]\nthreads = 4", r"engine\.threads: unknown key; allowed: .*shards"),
        ("[engine]\nconnection_points = 501", r"engine\.connection_points.*500"),
        ("[engine]\nconnection_points = 0", r"engine\.connection_points"),
        ("[engine]\nshards = 17", r"engine\.shards"),
        ('name = "Media 1"', "name"),
        ("[rtp]\nport_low = 30000\nport_high = 29000", "port_high must be above port_low"),
        ("[rtp]\nport_low = 20000\nport_high = 20997", "499 even ports, too few for 500"),
        ("[rtp]\nport_low = 20001\nport_high = 20999", "499 even ports"),
        ('[rtp]\naddress = "localhost"', "address must be an IPv4 address"),
        ('[rtp]\nadvertised = "media.example"', "advertised must be an IPv4 address"),
        ('[rtp]\naddress = "0.0.0.0"', "needs advertised"),
        ('[control]\nhost = "0.0.0.0"', "without token_file only a loopback address"),
        ("[control]\nport = 0", r"control\.port"),
        ("[http]\nport = 70000", r"http\.port"),
        ("[log]\nlevel = 10", r"log\.level"),
    ],
)
def test_bad_value_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        "[rtp]\nport_low = 20000\nport_high = 20998",
        "[rtp]\nport_low = 20001\nport_high = 20005\n[engine]\nconnection_points = 2",
        '[rtp]\naddress = "0.0.0.0"\nadvertised = "192.0.2.7"',
        '[control]\nhost = "0.0.0.0"\ntoken_file = "control.token"',
    ],
)
def test_value_at_its_bound_is_taken(tmp_path: Path, text: str) -> None:
    load(tmp_path, text)
