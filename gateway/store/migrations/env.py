"""Run by Alembic: migrate on the connection that :func:`gateway.store.schema.upgrade` hands over, inside its transaction.

Nothing here begins or commits: DDL is undone with anything else, so an upgrade that is interrupted leaves the database as it was.
"""

from __future__ import annotations

from alembic import context

from gateway.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
