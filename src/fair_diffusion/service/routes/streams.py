"""`/v1/streams`: what was asked, perceived and judged over all requests, with intervals."""

from __future__ import annotations

from fastapi import APIRouter

from fair_diffusion.service.answer_shapes import StreamList, StreamShown
from fair_diffusion.service.ledger import DatabaseLedger
from fair_diffusion.service.problems import documented
from fair_diffusion.service.server import Here, Operator
from fair_diffusion.statistics.intervals import with_unread

router = APIRouter(prefix="/v1", tags=["streams"])


@router.get("/streams", responses=documented(403))
def streams(server: Here, key: Operator) -> StreamList:
    """Every stream with its groups. The share is of all its images, as the judge reads them.

    The interval is at 95 %, for independent images; those that the judge could not read may show any group.
    """
    found: dict[int, StreamShown] = {}
    rows = DatabaseLedger(server.database).rows()
    judged: dict[int, int] = {}
    for row in rows:
        judged[row.stream] = judged.get(row.stream, 0) + row.judged
    for row in rows:
        if row.stream not in found:
            found[row.stream] = {
                "rule": row.rule,
                "model": row.model,
                "attributes": row.attributes,
                "n": row.n,
                "judged": judged[row.stream],
                "groups": [],
            }
        unread = row.n - judged[row.stream]
        found[row.stream]["groups"].append(
            {
                "group": row.group,
                "target": float(row.share),
                "asked": row.asked,
                "pending": row.pending,
                "perceived": row.perceived,
                "judged": row.judged,
                "share": row.judged / row.n if row.n else None,
                "interval": list(with_unread(row.judged, unread, row.n)) if row.n else None,
            }
        )
    return {"object": "list", "data": list(found.values())}
