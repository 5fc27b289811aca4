"""Streams with the counts of their cells, and the turns that are under way."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the three tables."""
    op.create_table(
        "streams",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("lot", sa.Integer, nullable=False),
        sa.UniqueConstraint("rule", "model", "attributes", "target"),
    )
    op.create_table(
        "cells",
        sa.Column("stream", sa.Integer, sa.ForeignKey("streams.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("share", sa.Text, nullable=False),
        sa.Column("asked", sa.Integer, nullable=False),
        sa.Column("perceived", sa.Integer, nullable=False),
        sa.Column("judged", sa.Integer, nullable=False),
        sa.Column("counted", sa.Integer, nullable=False),
    )
    op.create_table(
        "turns",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("stream", sa.Integer, sa.ForeignKey("streams.id", ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("quotas", sa.JSON, nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
    )
