"""Real PostgreSQL and real MQTT brokers for this folder's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.integration.support.brokers import Mosquitto, MqttBroker, Nats
from tests.integration.support.postgres import Postgres, find_binaries


@pytest.fixture(scope="session")
def cluster() -> Iterator[Postgres]:
    """One PostgreSQL cluster for all tests; each makes its own database."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (make setup installs postgresql)")
    postgres = Postgres(binaries)
    try:
        postgres.create()
        postgres.start()
        yield postgres
    finally:
        postgres.remove()


@pytest.fixture
async def postgres_url(cluster: Postgres) -> str:
    """An empty PostgreSQL database."""
    return await cluster.create_database()


@pytest.fixture(params=["sqlite", "postgresql"])
async def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.sqlite'}"
    cluster: Postgres = request.getfixturevalue("cluster")
    return await cluster.create_database()


@pytest.fixture(params=[Mosquitto, Nats], ids=["mosquitto", "nats"])
async def broker(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MqttBroker]:
    """A running broker of either kind."""
    reason = request.param.missing()
    if reason:
        pytest.skip(reason)
    running: MqttBroker = request.param(tmp_path / "broker")
    await running.start()
    yield running
    await running.stop()
