"""The SQL store: one schema and one alembic history for SQLite and PostgreSQL."""
