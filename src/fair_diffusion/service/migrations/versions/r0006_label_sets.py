"""Sets of pictures that raters label: the order of the draw, holds, guidelines, consent, decisions on disagreements."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the tables, and to each label the set that it is of."""
    _asked()
    _drawn()
    _decided()
    op.add_column("labels", sa.Column("label_set", sa.Text))
    op.create_index("labels_of_set", "labels", ["label_set", "image"])
    stands = sa.text("undone IS NULL")
    op.create_index(
        "labels_once",
        "labels",
        ["label_set", "image", "rater"],
        unique=True,
        sqlite_where=stands,
        postgresql_where=stands,
    )


def _asked() -> None:
    """What raters are asked, and what they agreed to."""
    op.create_table(
        "guidelines",
        sa.Column("version", sa.Text, primary_key=True),
        sa.Column("attribute", sa.Text, nullable=False),
        sa.Column("content", sa.JSON, nullable=False),
    )
    op.create_table(
        "consents",
        sa.Column("rater", sa.Text, primary_key=True),
        sa.Column("guideline", sa.Text, sa.ForeignKey("guidelines.version"), primary_key=True),
        sa.Column("time", sa.Float, nullable=False),
    )
    op.create_table(
        "label_sets",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("attribute", sa.Text, nullable=False),
        sa.Column("groups", sa.JSON, nullable=False),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("guideline", sa.Text, sa.ForeignKey("guidelines.version"), nullable=False),
        sa.Column("pictures", sa.Integer, nullable=False),
        sa.Column("second", sa.Float, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
    )


def _drawn() -> None:
    """The pictures of a set in the order of the draw, and who looks at one now."""
    op.create_table(
        "label_pictures",
        _of_set(primary_key=True),
        sa.Column("image", sa.Text, primary_key=True),
        sa.Column("place", sa.Integer),
        sa.Column("priority", sa.Float),
        sa.Column("probability", sa.Float),
        sa.Column("second", sa.Boolean, nullable=False),
        sa.Column("gold", sa.Text),
        sa.Column("reading", sa.Text),
        sa.Column("confidence", sa.Float),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("concept", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
    )
    op.create_index("label_pictures_order", "label_pictures", ["label_set", "place"])
    op.create_index("label_pictures_image", "label_pictures", ["image"])
    op.create_table(
        "label_holds",
        _of_set(primary_key=True),
        sa.Column("rater", sa.Text, primary_key=True),
        sa.Column("image", sa.Text, primary_key=True),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("until", sa.Float, nullable=False),
    )


def _decided() -> None:
    """Decisions on pictures of which raters disagree."""
    op.create_table(
        "adjudications",
        sa.Column("id", sa.Integer, primary_key=True),
        _of_set(),
        sa.Column("image", sa.Text, nullable=False),
        sa.Column("answer", sa.Text),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("undone", sa.Float),
    )
    stands = sa.text("undone IS NULL")
    op.create_index(
        "adjudications_once",
        "adjudications",
        ["label_set", "image"],
        unique=True,
        sqlite_where=stands,
        postgresql_where=stands,
    )


def _of_set(*, primary_key: bool = False) -> "sa.Column[str]":
    sets = sa.ForeignKey("label_sets.id", ondelete="CASCADE")
    return sa.Column("label_set", sa.Text, sets, primary_key=primary_key, nullable=False)
