"""Whether a person chose the pictures of a set. Of older sets nobody knows; they count as before."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column."""
    op.add_column("label_sets", sa.Column("chosen", sa.Boolean, nullable=False, server_default=sa.false()))
