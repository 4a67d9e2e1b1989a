"""alembic's entry: runs on the connection that `migrate` hands over."""

from alembic import context

from common.service.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=False)
context.run_migrations()
