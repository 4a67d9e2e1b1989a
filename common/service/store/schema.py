"""Tables of the store. Wall-clock times are UTC seconds since 1970; durations are seconds."""

from typing import Final

from sqlalchemy import BigInteger, Column, Double, Index, Integer, MetaData, String, Table

metadata: Final = MetaData()

cdr: Final = Table(
    "cdr",
    metadata,
    Column("call_uid", String(80), primary_key=True),
    Column("node", String(32), nullable=False),
    Column("direction", String(8), nullable=False),
    Column("caller", String(128), nullable=False),
    Column("called", String(128), nullable=False),
    Column("trunk", String(64), nullable=False),
    Column("queue", String(64), nullable=False),
    Column("agent", String(64), nullable=False),
    Column("started_at", Double, nullable=False),
    Column("queued_at", Double),
    Column("answered_at", Double),
    Column("ended_at", Double, nullable=False, index=True),
    Column("wait_s", Double, nullable=False),
    Column("ring_s", Double, nullable=False),
    Column("talk_s", Double, nullable=False),
    Column("result", String(16), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("sip_cause", Integer, nullable=False),
    Column("q850_cause", Integer, nullable=False),
    Column("media_server", String(32), nullable=False),
    Column("codec_a", String(16), nullable=False),
    Column("codec_b", String(16), nullable=False),
    Column("packets_lost", BigInteger, nullable=False),
)
"""One row a call: the end of it, written once (call_uid is the key, a second write changes nothing)."""

lease: Final = Table(
    "lease",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(80), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("renewed", BigInteger, nullable=False),
)
"""Leadership: `epoch` grows with every new holder, `renewed` with every renewal; nobody compares clocks."""

placement: Final = Table(
    "placement",
    metadata,
    Column("agent", String(64), primary_key=True),
    Column("node", String(32), nullable=False, index=True),
    Column("epoch", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
)
"""Which TAS serves an agent."""

agent_activity: Final = Table(
    "agent_activity",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("agent", String(64), nullable=False),
    Column("at", Double, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("call_uid", String(80), nullable=False),
    Index("ix_agent_activity_agent_id", "agent", "id"),
)
"""Every change of an agent's state."""
