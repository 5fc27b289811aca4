"""Jobs with events, the ledger, keys, policies, the trail, images and labels."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("cost", sa.Float, nullable=False),
        sa.Column("images", sa.Integer, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("start", sa.Float),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("idempotency", sa.Text),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("began", sa.Float),
        sa.Column("ended", sa.Float),
        sa.Column("kept", sa.Float, nullable=False),
        sa.Column("expires", sa.Float),
        sa.Column("worker", sa.Text),
        sa.Column("token", sa.Integer, nullable=False),
        sa.Column("lease", sa.Float),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("cancelling", sa.Boolean, nullable=False),
        sa.Column("progress", sa.JSON),
        sa.Column("result", sa.JSON),
        sa.Column("reason", sa.Text),
        sa.UniqueConstraint("key", "idempotency"),
    )

    op.create_table(
        "events",
        sa.Column("job", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("time", sa.Float, nullable=False),
    )

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
        sa.Column("stream", sa.Integer, sa.ForeignKey("streams.id", ondelete="CASCADE"), nullable=False),
        sa.Column("job", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE")),
        sa.Column("quotas", sa.JSON, nullable=False),
        sa.Column("expires", sa.Float),
    )

    op.create_table(
        "keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("hash", sa.Text, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("limits", sa.JSON, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("revoked", sa.Float),
    )

    op.create_table(
        "policies",
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("hash", sa.Text, nullable=False, unique=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
    )

    op.create_table(
        "activations",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("version", sa.Integer, sa.ForeignKey("policies.version")),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )

    op.create_table(
        "trail",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("change", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
    )

    op.create_table(
        "images",
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("media", sa.Text, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("job", sa.Text),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("expires", sa.Float),
    )

    op.create_table(
        "labels",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("image", sa.Text, nullable=False),
        sa.Column("attribute", sa.Text, nullable=False),
        sa.Column("answer", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("rater", sa.Text, nullable=False),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("probability", sa.Float),
        sa.Column("guideline", sa.Text, nullable=False),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("undone", sa.Float),
    )
    op.create_index("jobs_order", "jobs", ["kind", "priority", "start"])
    op.create_index("jobs_of_key", "jobs", ["key", "kind", "priority", "start"])
    op.create_index("jobs_by_time", "jobs", ["key", "created"])
    queued, running = sa.text("state = 'queued'"), sa.text("state = 'running'")
    op.create_index(
        "jobs_queue",
        "jobs",
        ["kind", sa.text("priority DESC"), "start", "created"],
        sqlite_where=queued,
        postgresql_where=queued,
    )
    op.create_index("jobs_waiting", "jobs", ["key", "kind"], sqlite_where=queued, postgresql_where=queued)
    op.create_index("jobs_leases", "jobs", ["lease"], sqlite_where=running, postgresql_where=running)
    op.create_index("jobs_expiry", "jobs", ["expires"])
    op.create_index("ix_turns_stream", "turns", ["stream"])
    op.create_index("ix_turns_job", "turns", ["job"])
    op.create_index("ix_images_expires", "images", ["expires"])
    op.create_index("ix_labels_image", "labels", ["image"])
