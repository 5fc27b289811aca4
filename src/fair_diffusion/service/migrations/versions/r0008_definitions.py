"""By which definition of the attribute a set asks and a label was given. Of older ones nobody knows."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the columns."""
    for table in ("label_sets", "labels"):
        op.add_column(table, sa.Column("definition", sa.Text))
