"""agents.toml and queues.toml."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from common.service.config import ConfigError, load_file
from common.service.directory import MAX_AGENTS, MAX_QUEUES, AgentsFile, QueueEntry, QueuesFile

LAB = Path(__file__).resolve().parents[4] / "configs" / "lab"


def test_lab_files_load() -> None:
    agents = load_file(AgentsFile, LAB / "agents.toml").agents
    queues = load_file(QueuesFile, LAB / "queues.toml").queues
    assert list(agents) == [str(number) for number in range(1001, 1021)]
    assert {queue for agent in agents.values() for queue in agent.queues} == set(queues)


def agent(**values: object) -> dict[str, object]:
    return {"agents": {"1001": values}}


def test_agent_without_any_secret_is_refused() -> None:
    with pytest.raises(ValidationError, match="give password, or ha1_sha256 and/or ha1_md5"):
        AgentsFile.model_validate(agent(name="A"))
    for key in ("password", "ha1_sha256", "ha1_md5"):
        assert AgentsFile.model_validate(agent(**{key: "x"})).agents["1001"].name == ""


def test_password_is_never_shown() -> None:
    file = AgentsFile.model_validate(agent(password="geheim"))
    assert "geheim" not in f"{file!r} {file} {file.model_dump()}"


def test_queue_without_options_has_the_usual_ones() -> None:
    queue = QueueEntry()
    assert (queue.strategy, queue.timeout, queue.wrapuptime, queue.maxlen) == ("leastrecent", 15.0, 10.0, 0)
    assert queue.joinempty


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("strategy", "ringall"),
        ("timeout", 0),
        ("timeout", 301),
        ("retry", -1),
        ("wrapuptime", 3601),
        ("weight", 101),
        ("maxlen", -1),
        ("servicelevel", 0),
        ("music", "music"),
        ("musik", ["music"]),
    ],
)
def test_queue_option_out_of_bounds_is_refused_by_name(tmp_path: Path, key: str, value: object) -> None:
    path = tmp_path / "queues.toml"
    path.write_text(f"[queues.support]\n{key} = {value!r}\n")
    with pytest.raises(ConfigError, match=rf"queues\.toml: queues\.support\.{key}: "):
        load_file(QueuesFile, path)


def test_number_of_agents_and_queues_has_a_limit() -> None:
    entries = {str(number): {"password": "x"} for number in range(MAX_AGENTS)}
    assert len(AgentsFile.model_validate({"agents": entries}).agents) == MAX_AGENTS
    with pytest.raises(ValidationError, match=f"at most {MAX_AGENTS}"):
        AgentsFile.model_validate({"agents": entries | {"x": {"password": "x"}}})
    with pytest.raises(ValidationError, match=f"at most {MAX_QUEUES}"):
        QueuesFile.model_validate({"queues": {str(number): {} for number in range(MAX_QUEUES + 1)}})
