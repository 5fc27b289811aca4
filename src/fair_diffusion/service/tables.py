"""The tables of the service. `migrations/` makes them; a test holds that both agree.

Times are seconds since 1970 by the database's clock. Bodies, progress and results are JSON.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
    literal_column,
    text,
)

tables = MetaData()


def _only(state: str) -> dict[str, Any]:
    """An index holds the jobs of this state alone."""
    return _where(f"state = '{state}'")


def _where(condition: str) -> dict[str, Any]:
    """An index holds the rows of this condition alone."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


jobs = Table(
    "jobs",
    tables,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # "draw", "cell"; who claims names the kinds that it can do
    Column("state", Text, nullable=False),  # queued, running, done, failed, cancelled
    Column("key", Text, nullable=False),  # the id of the API key; "" for this machine's own jobs
    Column("lane", Text, nullable=False),  # jobs of one lane may be drawn in one batch
    Column("cost", Float, nullable=False),  # images × steps × evaluations
    Column("images", Integer, nullable=False),
    Column("priority", Integer, nullable=False),  # higher goes first
    Column("start", Float),  # the place in the fair order, see `fair_order.py`; none if it was cancelled in the queue
    Column("body", JSON, nullable=False),
    Column("digest", Text, nullable=False),  # SHA-256 of the body
    Column("idempotency", Text),
    Column("created", Float, nullable=False),
    Column("began", Float),  # when it was first claimed
    Column("ended", Float),
    Column("kept", Float, nullable=False),  # seconds for which the job is kept after its end
    Column("expires", Float),
    Column("worker", Text),
    Column("token", Integer, nullable=False),  # rises with every claim: who holds an older one may not write
    Column("lease", Float),  # until when its worker has it
    Column("attempts", Integer, nullable=False),
    Column("cancelling", Boolean, nullable=False),  # a running job that somebody cancelled
    Column("progress", JSON),
    Column("result", JSON),
    Column("reason", Text),  # why it failed
    Column("left", Float),  # when its client went away, if it may come back for it
    UniqueConstraint("key", "idempotency"),
    Index("jobs_order", "kind", "priority", "start"),
    Index("jobs_of_key", "key", "kind", "priority", "start"),
    Index("jobs_by_time", "key", "created"),
    Index("jobs_same", "key", "digest"),
    Index("jobs_queue", "kind", text("priority DESC"), "start", "created", **_only("queued")),
    Index("jobs_waiting", "key", "kind", **_only("queued")),
    Index("jobs_leases", "lease", **_only("running")),
    Index("jobs_expiry", "expires"),
)
events = Table(
    "events",
    tables,
    Column("job", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),  # from 1, without a gap
    Column("kind", Text, nullable=False),
    Column("data", JSON, nullable=False),
    Column("time", Float, nullable=False),
)

streams = Table(
    "streams",
    tables,
    Column("id", Integer, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("attributes", Text, nullable=False),  # "gender × skin_tone"
    Column("target", Text, nullable=False),  # "man 1/2, woman 1/2": exact, and the same for the same target
    Column("lot", Integer, nullable=False),  # the seed that breaks ties
    UniqueConstraint("rule", "model", "attributes", "target"),
)
cells = Table(
    "cells",
    tables,
    Column("stream", ForeignKey("streams.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", Text, nullable=False),  # "woman + dark"
    Column("share", Text, nullable=False),  # "1/3"
    Column("asked", Integer, nullable=False),
    Column("perceived", Integer, nullable=False),
    Column("judged", Integer, nullable=False),
    Column("counted", Integer, nullable=False),  # as perceived, else as asked; the next choice goes by it
)
turns = Table(
    "turns",
    tables,
    Column("id", Text, primary_key=True),
    Column("stream", ForeignKey("streams.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("job", ForeignKey("jobs.id", ondelete="CASCADE"), index=True),  # whose turn it is, if a job took it
    Column("quotas", JSON, nullable=False),  # {"woman": 2}
    Column("expires", Float),  # none for the turn of a job, which lasts as long as the job
    Column("lease", Float),  # seconds: how far ahead it may expire; a clock that was ahead keeps no turn for ever
)

keys = Table(
    "keys",
    tables,
    Column("id", Text, primary_key=True),
    Column("hash", Text, nullable=False, unique=True),  # SHA-256 of the key, which itself is nowhere
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),  # client, operator, rater
    Column("limits", JSON, nullable=False),
    Column("created", Float, nullable=False),
    Column("revoked", Float),
)
secrets = Table(
    "secrets",
    tables,
    Column("name", Text, primary_key=True),  # "signing"
    Column("value", Text, nullable=False),  # hexadecimal; made by the first server that needs it
)
policies = Table(
    "policies",
    tables,
    Column("version", Integer, primary_key=True),
    Column("hash", Text, nullable=False, unique=True),
    Column("text", Text, nullable=False),  # the YAML
    Column("created", Float, nullable=False),
    Column("by", Text, nullable=False),  # the id of a key, or "command line"
)
activations = Table(
    "activations",
    tables,
    Column("id", Integer, primary_key=True),
    Column("version", ForeignKey("policies.version")),  # none: no policy is active from then on
    Column("time", Float, nullable=False),
    Column("by", Text, nullable=False),
    Column("why", Text, nullable=False),
)
trail = Table(
    "trail",
    tables,
    Column("id", Integer, primary_key=True),
    Column("time", Float, nullable=False),
    Column("by", Text, nullable=False),
    Column("change", Text, nullable=False),  # "key added"
    Column("subject", Text, nullable=False),  # the id of what changed
    Column("details", JSON, nullable=False),
)

images = Table(
    "images",
    tables,
    Column("hash", Text, primary_key=True),  # SHA-256 of the file
    Column("key", Text, primary_key=True),  # who may see it; the same content may belong to several keys
    Column("media", Text, nullable=False),  # "image/png"
    Column("size", Integer, nullable=False),  # bytes
    Column("job", Text),  # the job that drew it, if one did
    Column("created", Float, nullable=False),
    Column("expires", Float, index=True),  # none: it is kept
)
labels = Table(
    "labels",
    tables,
    Column("id", Integer, primary_key=True),
    Column("image", Text, nullable=False, index=True),  # its hash
    Column("attribute", Text, nullable=False),
    Column("answer", Text),  # the group; none if the rater cannot tell, or skipped the image
    Column("reason", Text),  # "cannot tell", or why it was skipped
    Column("rater", Text, nullable=False),  # a pseudonym
    Column("queue", Text, nullable=False),  # random, active, chosen, gold, second, correction
    Column("probability", Float),  # with which the image was shown; none where no estimate may use the label
    Column("guideline", Text, nullable=False),  # its version
    Column("time", Float, nullable=False),
    Column("undone", Float),  # when the rater took it back
    Column("label_set", Text),  # the set that the picture was shown from; none for a correction
    Column("definition", Text),  # by what the definition of the attribute is known; none where nobody knows
    Index("labels_of_set", "label_set", "image"),
    Index("labels_once", "label_set", "image", "rater", unique=True, **_where("undone IS NULL")),
)
label_sets = Table(
    "label_sets",
    tables,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("attribute", Text, nullable=False),  # what raters are asked
    Column("groups", JSON, nullable=False),  # the answers, in the order of their keys
    Column("queue", Text, nullable=False),  # random, active: how its pictures are drawn
    Column("guideline", ForeignKey("guidelines.version"), nullable=False),
    Column("pictures", Integer, nullable=False),  # those that are drawn, without gold questions
    Column("second", Float, nullable=False),  # the share of pictures that a second rater sees, too
    Column("created", Float, nullable=False),
    Column("by", Text, nullable=False),
    Column("chosen", Boolean, nullable=False, server_default=false()),  # whether a person chose its pictures
    Column("definition", Text),  # by what the definition of the attribute is known; none for older sets
)
label_pictures = Table(
    "label_pictures",
    tables,
    Column("label_set", ForeignKey("label_sets.id", ondelete="CASCADE"), primary_key=True),
    Column("image", Text, primary_key=True),  # its hash
    Column("place", Integer),  # in the order of the draw; none for a gold question
    Column("priority", Float),  # what the order goes by, see `statistics/drawing_order.py`
    Column("probability", Float),  # that one draw from the set gives this picture
    Column("second", Boolean, nullable=False),  # whether a second rater sees it, too
    Column("gold", Text),  # the known answer of a gold question
    Column("reading", Text),  # what a reader said; hidden until the label is given
    Column("confidence", Float),
    Column("file", Text, nullable=False),  # its name in tables
    Column("concept", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("owner", Text, nullable=False),  # the key that it was drawn for; "" is this machine
    Index("label_pictures_order", "label_set", "place"),
    Index("label_pictures_image", "image"),
)
label_holds = Table(
    "label_holds",
    tables,
    Column("label_set", ForeignKey("label_sets.id", ondelete="CASCADE"), primary_key=True),
    Column("rater", Text, primary_key=True),
    Column("image", Text, primary_key=True),
    Column("queue", Text, nullable=False),  # why it was given
    Column("number", Integer, nullable=False),  # the order in which the rater sees them
    Column("until", Float, nullable=False),  # until then no other rater gets it
)
guidelines = Table(
    "guidelines",
    tables,
    Column("version", Text, primary_key=True),  # a hash of the content
    Column("attribute", Text, nullable=False),
    Column("content", JSON, nullable=False),
)
consents = Table(
    "consents",
    tables,
    Column("rater", Text, primary_key=True),
    Column("guideline", ForeignKey("guidelines.version"), primary_key=True),
    Column("time", Float, nullable=False),
)
adjudications = Table(
    "adjudications",
    tables,
    Column("id", Integer, primary_key=True),
    Column("label_set", ForeignKey("label_sets.id", ondelete="CASCADE"), nullable=False),
    Column("image", Text, nullable=False),
    Column("answer", Text),  # none: it cannot be told
    Column("why", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("time", Float, nullable=False),
    Column("undone", Float),
    Index("adjudications_once", "label_set", "image", unique=True, **_where("undone IS NULL")),
)
calibrations = Table(
    "calibrations",
    tables,
    Column("version", Text, primary_key=True),  # a hash of the content
    Column("content", Text, nullable=False),  # the file
    Column("created", Float, nullable=False),
    Column("by", Text, nullable=False),  # the id of the key that made it first, or "command line"
)
workers = Table(
    "workers",
    tables,
    Column("name", Text, primary_key=True),
    Column("model", JSON, nullable=False),  # what requests may ask of it, see `served_model.py`
    Column("seen", Float, nullable=False),  # when it last said that it is there
)

# As the text of the statement, not as a parameter: only so do both databases see that they may use the partial indexes.
is_queued = jobs.c.state == literal_column("'queued'")
is_running = jobs.c.state == literal_column("'running'")
