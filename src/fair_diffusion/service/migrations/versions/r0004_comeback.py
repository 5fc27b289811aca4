"""Jobs whose clients went away and may come back, whichever server they then ask."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column, and an index by what was asked for."""
    op.add_column("jobs", sa.Column("left", sa.Float))
    op.create_index("jobs_same", "jobs", ["key", "digest"])
