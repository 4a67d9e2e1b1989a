"""Configuration: what is refused, and that the refusal names source, key and what is allowed; never a secret."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from common.service.config import ConfigError, Settings, load_file, load_settings, read_secret, read_toml

PREFIX = "OPENTAS_TEST__"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Server(_Strict):
    name: str
    port: int = Field(ge=1, le=65535)


class Sip(_Strict):
    udp_port: int = Field(default=5060, ge=1, le=65535)
    transport: Literal["udp", "tcp"] = "udp"
    url: str = ""
    password: SecretStr | None = None

    @model_validator(mode="after")
    def _even(self) -> Sip:
        if self.udp_port % 2:
            raise ValueError("udp_port must be even")
        return self


class Main(Settings):
    node: str = "tas-1"
    sip: Sip = Sip()
    servers: list[Server] = Field(default_factory=list)
    optional: Sip | None = None
    agents: dict[str, Sip] = Field(default_factory=dict)


class Secrets(_Strict):
    secret_keys: ClassVar[bool] = True
    tokens: dict[str, Literal["viewer", "operator"]] = Field(default_factory=dict)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tas.toml"


def refused(file: Path, text: str) -> list[str]:
    """Lines of the refusal of a file."""
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_settings(Main, file, env_prefix=PREFIX)
    return str(caught.value).splitlines()


def test_file_sets_what_it_names_and_leaves_the_rest(file: Path) -> None:
    file.write_text('node = "tas-2"\n[sip]\nudp_port = 5070\n[[servers]]\nname = "media-1"\nport = 9201\n')
    settings = load_settings(Main, file, env_prefix=PREFIX)
    assert (settings.node, settings.sip.udp_port, settings.sip.transport) == ("tas-2", 5070, "udp")
    assert settings.servers == [Server(name="media-1", port=9201)]


def test_environment_overrides_single_keys_and_whole_lists(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('node = "tas-2"\n[sip]\nudp_port = 5070\ntransport = "tcp"\n')
    monkeypatch.setenv("OPENTAS_TEST__SIP__UDP_PORT", "5080")
    monkeypatch.setenv("opentas_test__servers", '[{"name": "media-9", "port": 1}]')
    monkeypatch.setenv("OPENTAS_TEST__NODE", "")
    settings = load_settings(Main, file, env_prefix=PREFIX)
    assert (settings.node, settings.sip.udp_port, settings.sip.transport) == ("tas-2", 5080, "tcp")
    assert settings.servers == [Server(name="media-9", port=1)]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("nod = 1", "nod: unknown key; allowed: agents, node, optional, servers, sip"),
        ("[sip]\nudp_prt = 1", "sip.udp_prt: unknown key; allowed: password, transport, udp_port, url"),
        ("[optional]\nx = 1", "optional.x: unknown key; allowed: password, transport, udp_port, url"),
        ("[agents.1001]\nx = 1", "agents.1001.x: unknown key; allowed: password, transport, udp_port, url"),
        ('[[servers]]\nname = "a"\nport = 1\nhst = 2', "servers.0.hst: unknown key; allowed: name, port"),
        ('[[servers]]\nname = "a"', "servers.0.port: is missing and has no default"),
        (
            "[sip]\nudp_port = 70000",
            "sip.udp_port: Input should be less than or equal to 65535 (given: 70000)",
        ),
        ('[sip]\ntransport = "sctp"', "sip.transport: Input should be 'udp' or 'tcp' (given: 'sctp')"),
        ("[sip]\nudp_port = 5061", "sip: udp_port must be even"),
    ],
)
def test_bad_key_is_refused_by_file_key_and_what_is_allowed(file: Path, text: str, fault: str) -> None:
    assert refused(file, text) == [f"{file}: {fault}"]


def test_all_faults_are_told_at_once(file: Path) -> None:
    assert len(refused(file, "nod = 1\n[sip]\nudp_port = 0\nx = 2\n")) == 3


def test_bad_environment_variable_is_refused_by_its_name(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENTAS_TEST__SIP__UDP_PORT", "abc")
    monkeypatch.setenv("OPENTAS_TEST__SIP__PORT", "1")
    monkeypatch.setenv("OPENTAS_TEST__SERVERS", '[{"name": "a", "port": 0}]')
    lines = refused(file, "nod = 1")
    assert sorted(line.partition(": ")[0] for line in lines) == sorted(
        [
            "environment OPENTAS_TEST__SERVERS",
            "environment OPENTAS_TEST__SIP__PORT",
            "environment OPENTAS_TEST__SIP__UDP_PORT",
            str(file),
        ]
    )


def test_environment_variable_for_no_key_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENTAS_TEST__SIPP__UDP_PORT", "5080")
    assert refused(file, "") == [
        "environment OPENTAS_TEST__SIPP__UDP_PORT: sipp: unknown key; allowed: agents, node, optional, servers, sip"
    ]


@pytest.mark.parametrize("value", ["{bad", "media-1"])
def test_table_in_the_environment_that_is_no_json_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("OPENTAS_TEST__SERVERS", value)
    assert refused(file, "") == [
        "environment OPENTAS_TEST__SERVERS: not valid JSON, in which tables and lists are given there"
    ]


def test_secrets_stay_out_of_every_refusal(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        '[sip]\npassword = ["geheim"]\nurl = 1\n[agents]\n1001 = "geheim"\n'
        '[agents.1002]\npasswort = "geheim"\n[agents.1003]\nurl = ["mqtt://user:geheim@h"]\n'
    )
    lines = refused(file, text)
    assert len(lines) == 5
    assert "geheim" not in "\n".join(lines)
    monkeypatch.setenv("OPENTAS_TEST__SIP__PASSWORD", "geheim")
    monkeypatch.setenv("OPENTAS_TEST__SIP__UDP_PORT", "x")
    assert "geheim" not in "\n".join(refused(file, ""))


@pytest.mark.parametrize("text", ['[tokens]\ngeheim = "admin"', 'geheim = "operator"', '[tokens]\noperator = "geheim"'])
def test_file_whose_keys_are_secrets_is_refused_without_them(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_file(Secrets, file)
    assert "geheim" not in str(caught.value)
    assert str(file) in str(caught.value)


def test_file_that_is_absent_or_no_toml_is_refused_by_name(tmp_path: Path) -> None:
    absent = tmp_path / "absent.toml"
    with pytest.raises(ConfigError, match=r"absent\.toml: cannot be read: No such file"):
        read_toml(absent)
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_toml(tmp_path)
    for content in (b"node = ", b"node = 'a'\nnode = 'b'", b"node = '\xff'"):
        absent.write_bytes(content)
        with pytest.raises(ConfigError, match=r"absent\.toml: not valid TOML"):
            read_toml(absent)


def test_long_value_is_cut(file: Path) -> None:
    (line,) = refused(file, f'[sip]\ntransport = "{"x" * 5000}"')
    assert len(line) < 250 + len(str(file))


# Secrets in files.


def test_secret_is_what_the_file_holds_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "control.token").write_text("  secret\n")
    assert read_secret("media.token_file", tmp_path / "control.token") == "secret"
    assert read_secret("media.token_file", None) == ""


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_secret_file_that_says_nothing_is_refused_by_key_and_name(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "control.token").write_bytes(content)
    with pytest.raises(ConfigError, match=r"media\.token_file: .*control\.token"):
        read_secret("media.token_file", tmp_path / "control.token")
