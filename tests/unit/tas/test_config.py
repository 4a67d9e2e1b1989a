"""tas.toml and its files: the lab's are good; whatever is bad is refused with file, key and what is allowed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from common.contracts.media import Codec
from common.service.config import ConfigError
from tas.config import SHOWN_NAMES, load_config

LAB = Path(__file__).resolve().parents[3] / "configs" / "lab"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the lab's files to spoil."""
    for path in LAB.glob("*.toml"):
        shutil.copy(path, tmp_path)
    return tmp_path


def spoil(folder: Path, file: str, old: str, new: str) -> None:
    """Replace `old`, which must be there, in a file."""
    text = (folder / file).read_text(encoding="utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")


def refusal(folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(folder / "tas.toml")
    return str(caught.value)


def test_lab_files_are_accepted() -> None:
    config = load_config(LAB / "tas.toml")
    assert config.settings.node == "tas-1"
    assert [server.name for server in config.settings.media.servers] == ["media-1", "media-2"]
    assert config.trunks["pbx"].target_address == ("127.0.0.2", 5080)
    assert "1001" in config.agents
    assert config.routing.numbers["8000"].queue == "support"


def test_environment_wins_over_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENTAS_TAS__SIP__UDP_PORT", "5070")
    assert load_config(folder / "tas.toml").settings.sip.udp_port == 5070


@pytest.mark.parametrize(
    ("file", "old", "new", "parts"),
    [
        ("tas.toml", "udp_port = 5060", "upd_port = 5060", ["tas.toml: sip.upd_port: unknown key", "udp_port", "t1_s"]),
        ("tas.toml", 'node = "tas-1"', 'nodes = "tas-1"', ["tas.toml: nodes: unknown key; allowed: bus, files, http"]),
        ("tas.toml", 'node = "tas-1"', 'node = "TAS 1"', ["tas.toml: node: ", "^[a-z0-9-]{1,32}$", "'TAS 1'"]),
        ("tas.toml", "udp_port = 5060", "udp_port = 65536", ["sip.udp_port: ", "less than or equal to 65535"]),
        ("tas.toml", "udp_port = 5060", "udp_port = 0", ["sip.udp_port: ", "greater than or equal to 1"]),
        ("tas.toml", 'address = "127.0.0.1"', 'address = "localhost"', ["sip.address: ", "IPv4", "'localhost'"]),
        ("tas.toml", 'address = "127.0.0.1"', 'address = "0.0.0.0"', ["tas.toml: sip: ", "give advertised"]),
        ("tas.toml", "[sip]", '[sip]\nadvertised = "me"', ["sip.advertised: ", "IPv4 address"]),
        ("tas.toml", 'realm = "opentas"', 'realm = "a b"', ["sip.realm: "]),
        ("tas.toml", "t1_s = 0.5", "t1_s = 0", ["sip.t1_s: ", "greater than 0"]),
        ("tas.toml", "level = 3", "level = 10", ["log.level: ", "less than or equal to 9"]),
        ("tas.toml", "max_calls = 2000", 'max_calls = "many"', ["limits.max_calls: ", "integer", "'many'"]),
        ("tas.toml", 'name = "media-2"', 'name = "media-1"', ["media.servers: ", "a name of its own"]),
        ("tas.toml", "port = 9202", "prot = 9202", ["media.servers.1.prot: unknown key; allowed: host, name, port"]),
        ("tas.toml", "[media]", "[media", ["tas.toml: not valid TOML"]),
        ("trunks.toml", '["127.0.0.2"]', "[]", ["trunks.toml: trunks.pbx.sources: ", "at least 1"]),
        ("trunks.toml", '["127.0.0.2"]', '["pbx.example"]', ["trunks.pbx.sources.0: ", "IPv4", "'pbx.example'"]),
        ("trunks.toml", "127.0.0.2:5080", "127.0.0.2", ["trunks.pbx.target: ", "host:port"]),
        ("trunks.toml", "127.0.0.2:5080", "127.0.0.2:65536", ["trunks.pbx.target: ", "1-65535"]),
        ("trunks.toml", "127.0.0.2:5080", "127.0.0.2:0", ["trunks.pbx.target: ", "1-65535"]),
        ("trunks.toml", "127.0.0.2:5080", "pbx:5080", ["trunks.pbx.target: ", "IPv4"]),
        ("trunks.toml", '"udp"', '"sctp"', ["trunks.pbx.transport: ", "'udp' or 'tcp'", "'sctp'"]),
        ("trunks.toml", '["PCMA", "PCMU"]', '["G729"]', ["trunks.pbx.codecs.0: ", "'PCMU' or 'PCMA'"]),
        ("trunks.toml", '["PCMA", "PCMU"]', "[]", ["trunks.pbx.codecs: ", "at least 1"]),
        ("trunks.toml", "options_interval_s = 0", "options_interval_s = 3601", ["options_interval_s: ", "3600"]),
        ("trunks.toml", "nat = true", "session_expires_s = 89", ["trunks.pbx: ", "0 or at least min_se_s (90)"]),
        ("trunks.toml", "nat = true", "min_se_s = 89", ["trunks.pbx.min_se_s: ", "greater than or equal to 90"]),
        ("trunks.toml", "nat = true", 'refresher = "uac"', ["trunks.pbx.refresher: ", "'any', 'us' or 'peer'"]),
        ("routing.toml", "echo = true", "echo = true, hangup = true", ["numbers.9196: ", "exactly one of queue, menu"]),
        ("routing.toml", "9196 = { echo = true }", "9196 = {}", ["numbers.9196: ", "exactly one of"]),
        ("routing.toml", "9196 = { echo = true }", "9196 = { repeat = true }", ["numbers: ", "not for numbers: 9196"]),
        ("routing.toml", 'menu = "main"', 'menu = "man"', ['numbers."8100".menu: no such menu: man; known: main']),
        ("routing.toml", 'agent = "1001"', 'agent = "9999"', ["main.choices.2.agent: no such agent: 9999; "]),
        ("routing.toml", 'on_timeout = { queue = "support" }', 'on_timeout = { queue = "x" }', [".on_timeout.queue"]),
        ("routing.toml", 'trunk = "pbx"', 'trunk = "pxb"', ["outside.trunk: no such trunk: pxb; known: pbx"]),
        ("routing.toml", 'prefix = "0"', 'prefix = ""', ["outside.0.prefix: "]),
        ("routing.toml", "strip = 0", "strip = 21", ["outside.0.strip: ", "20"]),
        ("routing.toml", "9 = { repeat = true }", "E = { repeat = true }", ["menus.main.choices: ", "digits 0-9 * #"]),
        ("routing.toml", "timeout_s = 5", "timeout_s = 0", ["menus.main.timeout_s: ", "greater than 0"]),
        ("routing.toml", "repeats = 2", "repeats = 11", ["menus.main.repeats: ", "less than or equal to 10"]),
    ],
)  # fmt: skip
def test_bad_key_is_refused_with_file_key_and_what_is_allowed(
    folder: Path, file: str, old: str, new: str, parts: list[str]
) -> None:
    spoil(folder, file, old, new)
    text = refusal(folder)
    assert str(folder / file) in text
    for part in parts:
        assert part in text


@pytest.mark.parametrize("file", ["tas.toml", "agents.toml", "queues.toml", "trunks.toml", "routing.toml"])
def test_missing_file_is_refused_by_name(folder: Path, file: str) -> None:
    (folder / file).unlink()
    assert f"{folder / file}: cannot be read" in refusal(folder)


def test_every_fault_of_a_file_is_told_at_once(folder: Path) -> None:
    spoil(folder, "tas.toml", "udp_port = 5060", "udp_port = 0")
    spoil(folder, "tas.toml", "tcp_port = 5060", "tcp_port = 0")
    assert len(refusal(folder).splitlines()) == 2


def test_no_media_server_is_refused(folder: Path) -> None:
    text = (folder / "tas.toml").read_text(encoding="utf-8")
    head, _, rest = text.partition("servers = [")
    (folder / "tas.toml").write_text(head + "servers = []" + rest.partition("\n]")[2], encoding="utf-8")
    assert "media.servers: " in refusal(folder)


def test_every_address_may_be_served_when_one_is_advertised(folder: Path) -> None:
    spoil(folder, "tas.toml", 'address = "127.0.0.1"', 'address = "0.0.0.0"\nadvertised = "203.0.113.7"')
    assert load_config(folder / "tas.toml").settings.sip.advertised == "203.0.113.7"


def test_source_of_two_trunks_is_refused(folder: Path) -> None:
    with (folder / "trunks.toml").open("a", encoding="utf-8") as file:
        file.write('\n[trunks.second]\nsources = ["192.0.2.1", "127.0.0.2"]\ntarget = "192.0.2.1:5060"\n')
    assert "trunks.second.sources: 127.0.0.2 is a source of trunk pbx already" in refusal(folder)


def test_trace_goes_nowhere_by_default_and_to_homer_when_told(folder: Path) -> None:
    trace = load_config(folder / "tas.toml").settings.trace
    assert (trace.ring_mb, trace.hep_address) == (16, None)
    spoil(folder, "tas.toml", '# hep = ""', 'hep = "udp://homer.example:9060"')
    assert load_config(folder / "tas.toml").settings.trace.hep_address == ("homer.example", 9060)


@pytest.mark.parametrize("url", ["tcp://h:9060", "udp://h", "udp://:9060", "h:9060", "udp://h:70000", "udp://h:1/path"])
def test_bad_address_of_homer_is_refused_by_key(folder: Path, url: str) -> None:
    spoil(folder, "tas.toml", '# hep = ""', f'hep = "{url}"')
    assert "trace.hep" in refusal(folder)


def test_codec_named_twice_counts_once(folder: Path) -> None:
    spoil(folder, "trunks.toml", '["PCMA", "PCMU"]', '["PCMU", "PCMU", "PCMA"]')
    assert load_config(folder / "tas.toml").trunks["pbx"].codecs == [Codec.PCMU, Codec.PCMA]


def test_long_lists_of_known_names_are_cut(folder: Path) -> None:
    agents = "".join(f'[agents.{number}]\npassword = "x"\n' for number in range(1, SHOWN_NAMES + 4))
    (folder / "agents.toml").write_text(agents, encoding="utf-8")
    text = refusal(folder)  # the menu's agent 1001 is gone
    assert text.endswith(f"19, {SHOWN_NAMES} and 3 more")


def test_password_is_not_shown_in_the_error(folder: Path) -> None:
    (folder / "agents.toml").write_text('[agents.1001]\npassword = ["secret-word"]\n', encoding="utf-8")
    text = refusal(folder)
    assert "agents.1001.password" in text
    assert "secret-word" not in text
