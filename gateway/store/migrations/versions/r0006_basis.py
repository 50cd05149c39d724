"""What an owner says when it takes a record back goes on to whoever the record went to.

Revision 0006.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """From a node that passes on the code alone."""
    op.add_column("inbox_record", sa.Column("basis", sa.Text(), nullable=True))
