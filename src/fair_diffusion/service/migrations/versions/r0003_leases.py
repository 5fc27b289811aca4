"""How long each turn may last, so that one that was taken while the clock was ahead runs out all the same."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column."""
    op.add_column("turns", sa.Column("lease", sa.Float))
    op.execute("UPDATE turns SET lease = 900 WHERE expires IS NOT NULL")
