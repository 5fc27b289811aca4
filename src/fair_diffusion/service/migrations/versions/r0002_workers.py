"""The workers that are there, with the models that they draw with."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "workers",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("model", sa.JSON, nullable=False),
        sa.Column("seen", sa.Float, nullable=False),
    )
