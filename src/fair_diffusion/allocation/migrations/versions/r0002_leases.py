"""The lease of each turn: a turn that expires later than that from now was reserved by a clock that was wrong."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the lease, which is the usual one for turns that are under way."""
    op.add_column("turns", sa.Column("lease", sa.Float, nullable=False, server_default="900"))
