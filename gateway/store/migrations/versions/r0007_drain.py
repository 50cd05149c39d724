"""A peer that has come back takes its backlog at a limited rate over a restart too.

Revision 0007.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """From a node that forgets with its process who has just come back."""
    op.add_column("peer", sa.Column("drains", sa.Boolean(), server_default=sa.false(), nullable=False))
