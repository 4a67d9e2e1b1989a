"""What a lab consists of: ports, command lines, environment."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from agentbroker.config import load_config as load_broker
from common.service.config import load_settings
from mediaserver.config import ENV_PREFIX, MediaServerSettings
from tas.config import load_config as load_tas
from tasctl.lab.plan import HOST, Certificates, Child, LabPlan, PlanError, Secrets, children
from tasctl.lab.ports import ports_of

CONFIGS = Path(__file__).resolve().parents[4] / "configs" / "lab"
SECRETS = Secrets("tok", Path("/secrets/media.token"), Path("/secrets/tokens.toml"), "opentas", "geheim")


def plan(tas: int = 2, media: int = 2, brokers: int = 2, base: int = 5060, **more: str) -> LabPlan:
    made = LabPlan(tas, media, brokers, CONFIGS, Path("var"), base, **more)  # type: ignore[arg-type]
    made.check()
    return made


def by_name(made: LabPlan) -> dict[str, Child]:
    return {child.name: child for child in children(made, SECRETS)}


def test_standard_ports_are_those_of_the_documentation() -> None:
    made = plan(tas=3, media=5)
    assert [made.sip(n) for n in (1, 2, 3)] == [5060, 5070, 5080]
    assert [made.sip_tls(n) for n in (1, 2, 3)] == [5061, 5071, 5081]
    assert [made.http("tas", n) for n in (1, 2, 3)] == [9101, 9102, 9103]
    assert [made.control(n) for n in range(1, 6)] == [9201, 9202, 9203, 9204, 9205]
    assert [made.http("media", n) for n in range(1, 6)] == [9301, 9302, 9303, 9304, 9305]
    assert [made.rtp(n) for n in (1, 5)] == [(20000, 21999), (28000, 29999)]
    assert [made.http("broker", n) for n in (1, 2)] == [8080, 8081]
    assert (made.bus_port, made.pbx_port, made.phone_ports) == (18830, 5080, (18860, 18861))


@pytest.mark.parametrize("base", [1024, 5060, 7060, 12560])
def test_no_two_processes_of_the_largest_lab_share_a_port(base: int) -> None:
    made = plan(tas=99, media=6, brokers=9, base=base)
    used = Counter((port.number, port.kind) for port in ports_of(made))
    used.update((number, "udp") for n in range(1, 7) for number in range(made.rtp(n)[0], made.rtp(n)[1] + 1))
    used.update([(made.phone_ports[0], "udp"), (made.phone_ports[0], "tcp"), (made.phone_ports[1], "tcp")])
    assert {port: count for port, count in used.items() if count > 1} == {}
    assert max(number for number, _ in used) <= 65535
    assert min(number for number, _ in used) >= 1024


def test_moved_lab_keeps_every_distance() -> None:
    standard, moved = plan(), plan(base=6060)
    assert [port.number + 1000 for port in ports_of(standard)] == [port.number for port in ports_of(moved)]
    assert (moved.pbx_port, moved.rtp(2)) == (6080, (23000, 24999))
    assert standard.moved(6060) == moved


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"tas": 0}, "tas: 0: a lab has 1 to 99 of them"),
        ({"tas": 100}, "tas: 100: a lab has 1 to 99 of them"),
        ({"media": 7}, "media: 7: a lab has 1 to 6 of them"),
        ({"brokers": 0}, "broker: 0: a lab has 1 to 9 of them"),
        ({"base": 1023}, "LAB_PORT_BASE: 1023: must be from 1024 to 46596 for this lab"),
        ({"base": 60000, "media": 5}, "LAB_PORT_BASE: 60000: must be from 1024 to 40596 for this lab"),
        ({"bus_url": "http://127.0.0.1"}, "--bus: must be mqtt://[user:password@]host[:port]"),
        ({"bus_url": "mqtt://"}, "--bus: must be mqtt://[user:password@]host[:port]"),
        (
            {"store_url": "mysql://u:geheim@h/d"},
            "--store: must be postgresql://user:password@host/database or sqlite:///path",
        ),
    ],
)
def test_lab_that_cannot_be_is_refused_with_what_can(changes: dict[str, object], fault: str) -> None:
    with pytest.raises(PlanError) as caught:
        plan(**changes)  # type: ignore[arg-type]
    assert str(caught.value) == fault


def test_highest_base_it_names_is_one_that_works() -> None:
    assert max(plan(base=46596).rtp(2)[1], plan(base=46596).phone_ports[1]) <= 65535
    with pytest.raises(PlanError):
        plan(base=46597)


def test_children_are_brokers_then_media_servers_then_tas_nodes() -> None:
    made = children(plan(tas=3, media=5, brokers=1), SECRETS)
    roles = [child.role for child in made]
    assert roles == ["broker"] + ["media"] * 5 + ["tas"] * 3
    assert len({child.url for child in made}) == 9


def test_settings_are_such_as_the_processes_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process's own loader reads its child's environment."""
    found = by_name(plan(tas=3, media=5, base=6060))
    for name in ("tas-3", "media-5", "broker-2"):
        for key, value in found[name].environment.items():
            monkeypatch.setenv(key, value)
    tas = load_tas(CONFIGS / "tas.toml").settings
    assert (tas.node, tas.sip.udp_port, tas.sip.tcp_port, tas.http.port) == ("tas-3", 6080, 6080, 10103)
    assert [(server.name, server.port) for server in tas.media.servers] == [
        (f"media-{n}", 10200 + n) for n in range(1, 6)
    ]
    media = load_settings(MediaServerSettings, CONFIGS / "mediaserver.toml", env_prefix=ENV_PREFIX)
    assert (media.name, media.control.port, media.rtp.port_low, media.rtp.port_high) == ("media-5", 10205, 29000, 30999)
    broker = load_broker(CONFIGS / "agentbroker.toml").settings
    assert (broker.node, broker.http.port, broker.bus.url) == ("broker-2", 9081, tas.bus.url)
    assert broker.store.url == tas.store.url == "sqlite:///var/opentas.sqlite"


def test_tas_nodes_do_not_share_a_spool() -> None:
    found = by_name(plan(tas=3))
    spools = {found[f"tas-{n}"].environment["OPENTAS_TAS__STORE__SPOOL"] for n in (1, 2, 3)}
    assert len(spools) == 3


def test_own_bus_and_store_replace_the_embedded_ones() -> None:
    made = plan(bus_url="mqtt://u:p@bus.example:1884", store_url="postgresql://u:p@db.example/calls")
    assert "the bus" not in {port.use for port in ports_of(made)}
    for name, prefix in (("tas-1", "OPENTAS_TAS__"), ("broker-1", "OPENTAS_AGENTBROKER__")):
        environment = by_name(made)[name].environment
        assert environment[prefix + "BUS__URL"] == made.bus_url
        assert environment[prefix + "STORE__URL"] == made.store_url


def test_secrets_stand_in_the_environment_and_never_on_a_command_line() -> None:
    for child in children(plan(), SECRETS):
        assert not any("geheim" in argument for argument in child.arguments)
    environment = by_name(plan())["tas-1"].environment
    assert environment["OPENTAS_TAS__BUS__URL"] == f"mqtt://opentas:geheim@{HOST}:18830"
    assert json.loads(environment["OPENTAS_TAS__MEDIA__SERVERS"])[0]["name"] == "media-1"
    assert "geheim" not in "".join(os.environ.values())


def test_nodes_serve_tls_when_the_lab_has_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not any("TLS" in key for key in by_name(plan())["tas-1"].environment)
    files = Certificates(Path("/v/ca.pem"), Path("/v/node.pem"), Path("/v/node.key"))
    for key, value in by_name(plan(base=6060, certificates=files))["tas-2"].environment.items():  # type: ignore[arg-type]
        monkeypatch.setenv(key, value)
    tls = load_tas(CONFIGS / "tas.toml").settings.sip.tls
    assert (tls.port, tls.ca, tls.certificate, tls.key) == (6071, files.ca, files.certificate, files.key)
    assert tls.verify
