"""agentbroker.toml and the files it names: what is good is taken, what is bad is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentbroker.config import load_config
from common.service.config import ConfigError

LAB = Path(__file__).resolve().parents[3] / "configs" / "lab"
AGENTS = '[agents.1001]\npassword = "x"\nqueues = ["support"]\n'
QUEUES = "[queues.support]\n"


def files(folder: Path, broker: str = "", agents: str = AGENTS, queues: str = QUEUES) -> Path:
    """The three files; returns the main one."""
    for name, text in (("agentbroker", broker), ("agents", agents), ("queues", queues)):
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder / "agentbroker.toml"


def fault(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return str(caught.value)


def test_empty_file_means_the_defaults(tmp_path: Path) -> None:
    config = load_config(files(tmp_path))
    assert (config.settings.node, config.settings.http.port, config.settings.logon.ready_at_logon) == (
        "broker-1", 8080, True,
    )  # fmt: skip
    assert (list(config.agents), config.queues["support"].timeout) == (["1001"], 15.0)


def test_lab_s_files_are_good() -> None:
    config = load_config(LAB / "agentbroker.toml")
    assert "1001" in config.agents
    assert "support" in config.queues


@pytest.mark.parametrize(
    ("broker", "key", "says"),
    [
        ("nod = 'x'", "nod", "unknown key; allowed: "),
        ("node = 'Broker 1'", "node", "pattern"),
        ("[http]\nprt = 80", "http.prt", "unknown key; allowed: host, port, tokens_file"),
        ("[http]\nport = 70000", "http.port", "65535"),
        ("[log]\nlevel = 0", "log.level", "greater than or equal to 1"),
        ("[logon]\nready_at_logon = 'perhaps'", "logon.ready_at_logon", "boolean"),
    ],
)
def test_bad_key_is_named_with_its_file_and_what_is_allowed(tmp_path: Path, broker: str, key: str, says: str) -> None:
    path = files(tmp_path, broker)
    text = fault(path)
    assert text.startswith(f"{path}: {key}: ")
    assert says in text


def test_bad_queue_option_is_named(tmp_path: Path) -> None:
    text = fault(files(tmp_path, queues="[queues.support]\nstrategy = 'ringall'\n"))
    assert "queues.toml: queues.support.strategy: " in text
    assert "'leastrecent'" in text


def test_agent_of_a_queue_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    text = fault(files(tmp_path, agents=AGENTS.replace("support", "suport")))
    assert "agents.toml: agents.1001.queues: no such queue: suport; known: support" in text


def test_password_is_not_shown_in_a_fault(tmp_path: Path) -> None:
    text = fault(files(tmp_path, agents='[agents.1001]\npassword = ["hunter2"]\n'))
    assert "agents.1001.password" in text
    assert "hunter2" not in text


def test_absent_file_and_text_that_is_no_toml_are_named(tmp_path: Path) -> None:
    path = files(tmp_path, "= 7")
    assert "not valid TOML" in fault(path)
    (tmp_path / "agentbroker.toml").write_text("", encoding="utf-8")
    (tmp_path / "queues.toml").unlink()
    assert "queues.toml: cannot be read: No such file" in fault(path)


def test_environment_outranks_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENTAS_AGENTBROKER__HTTP__PORT", "8099")
    assert load_config(files(tmp_path, "[http]\nport = 8081")).settings.http.port == 8099
