"""CDRs, the lease of the broker, placement and activity of agents."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of the first release."""
    op.create_table(
        "cdr",
        sa.Column("call_uid", sa.String(80), primary_key=True),
        sa.Column("node", sa.String(32), nullable=False),
        sa.Column("direction", sa.String(8), nullable=False),
        *[sa.Column(name, sa.String(128), nullable=False) for name in ("caller", "called")],
        *[sa.Column(name, sa.String(64), nullable=False) for name in ("trunk", "queue", "agent")],
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("queued_at", sa.Double),
        sa.Column("answered_at", sa.Double),
        sa.Column("ended_at", sa.Double, nullable=False),
        *[sa.Column(name, sa.Double, nullable=False) for name in ("wait_s", "ring_s", "talk_s")],
        sa.Column("result", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("sip_cause", sa.Integer, nullable=False),
        sa.Column("q850_cause", sa.Integer, nullable=False),
        sa.Column("media_server", sa.String(32), nullable=False),
        sa.Column("codec_a", sa.String(16), nullable=False),
        sa.Column("codec_b", sa.String(16), nullable=False),
        sa.Column("packets_lost", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_cdr_ended_at", "cdr", ["ended_at"])
    op.create_table(
        "lease",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("holder", sa.String(80), nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("renewed", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "placement",
        sa.Column("agent", sa.String(64), primary_key=True),
        sa.Column("node", sa.String(32), nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_placement_node", "placement", ["node"])
    op.create_table(
        "agent_activity",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("call_uid", sa.String(80), nullable=False),
    )
    op.create_index("ix_agent_activity_agent_id", "agent_activity", ["agent", "id"])


def downgrade() -> None:
    """Drop them."""
    for table in ("agent_activity", "placement", "lease", "cdr"):
        op.drop_table(table)
