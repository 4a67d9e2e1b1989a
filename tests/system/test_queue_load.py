"""1,000 calls at 10 a second into the queue, 20 agents that answer: all served, all counted, nothing left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.support import sipp
from tests.system.support.baresip import free_port
from tests.system.support.lab import Lab, copy_configs, wait_for
from tests.system.test_first_call import any_left

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not sipp.installed(), reason="sipp is not installed (make setup installs sip-tester)"),
]

AGENTS = [str(1001 + n) for n in range(20)]
CALLS = 1000
RATE = 10
HOLD_MS = 1000


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    configs = copy_configs(folder / "configs", {"queues.toml": {"wrapuptime = 5": "wrapuptime = 0.2"}})
    lab = Lab(folder / "var", configs=configs)
    lab.start()
    yield lab
    lab.stop()


def register(lab: Lab, folder: Path, node: int, agents: list[str], port: int) -> None:
    """Register agents from `port`, where a SIPp answers afterwards."""
    rows = [f"{agent};[authentication username={agent} password=lab-{agent}]" for agent in agents]
    phones = sipp.Sipp(folder, "register.xml", lab.sip(node), port=port, calls=len(agents), rate=20, rows=rows)
    counts = phones.run()
    assert (counts.successful, counts.failed) == (len(agents), 0), phones.errors()
    for agent in agents:
        lab.wait_agent(agent, "Ready")


def test_thousand_calls_are_all_answered_and_leave_nothing(lab: Lab, tmp_path: Path) -> None:
    phones = []
    for node, agents in ((1, AGENTS[:10]), (2, AGENTS[10:])):
        port = free_port()
        register(lab, tmp_path / f"register-{node}", node, agents, port)
        phone = sipp.Sipp(tmp_path / f"phones-{node}", "uas_agent.xml", port=port, calls=100_000, timeout_s=300)
        phones.append(phone.start())
    before = [lab.node(number) for number in (1, 2)]
    callers = [
        sipp.Sipp(
            tmp_path / f"callers-{node}",
            "uac_call.xml",
            lab.sip(node),
            host="127.0.0.2",
            number="8000",
            calls=CALLS // 2,
            rate=RATE / 2,
            timeout_s=180,
            extra=["-d", str(HOLD_MS)],
        ).start()
        for node in (1, 2)
    ]
    counts = [caller.wait() for caller in callers]
    assert [(count.successful, count.failed) for count in counts] == [(CALLS // 2, 0)] * 2, callers[0].errors()
    wait_for(lambda: len(lab.cdrs()) >= CALLS, timeout_s=10, what=f"{CALLS} CDRs")
    cdrs = lab.cdrs()
    assert Counter(cdr["result"] for cdr in cdrs) == {"answered": CALLS}
    assert set(Counter(cdr["agent"] for cdr in cdrs)) == set(AGENTS), "every agent was used"
    servers = Counter(cdr["media_server"] for cdr in cdrs)
    assert all(abs(servers[f"media-{number}"] - CALLS // 2) <= 2 for number in (1, 2)), servers
    wait_for(lambda: not any_left(lab), timeout_s=45, what="transactions, dialogs, calls and sessions gone")
    after = [lab.node(number) for number in (1, 2)]
    assert [node["tasks"] for node in after] == [node["tasks"] for node in before]
    assert [node["descriptors"] for node in after] == [node["descriptors"] for node in before]
    queues = {queue["queue"]: queue for queue in lab.request(f"{lab.broker_http()}/v1/queues")}
    assert queues["support"]["waiting"] == 0
    assert {agent["state"] for number, agent in lab.agents().items() if number in AGENTS} == {"Ready"}
    for phone in phones:
        phone.stop()
