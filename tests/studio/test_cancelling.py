"""A drawing that is cancelled says so from that moment on, whatever its worker still does."""

from __future__ import annotations

import httpx2
from browsing import Studio

from fair_diffusion.service.claims import Claims
from fair_diffusion.service.draw_body import DrawBody
from fair_diffusion.service.signing import Signer
from fair_diffusion.service.worker_kind import kind_of
from fair_diffusion.studio.sessions import cookie_of

BODY = DrawBody(prompt="a photo of a nurse", n=4, seed=1, steps=25, guidance=2.0, method="prompt")


def test_a_running_drawing_that_is_cancelled_says_so_at_once(empty: Studio) -> None:
    server, signer = empty.server, Signer(empty.server.database)
    job, _ = server.jobs.put(kind_of("pocket"), BODY.stored(), key=empty.key.id)
    claims = Claims(server.database, "a worker that is busy")
    (mine,) = claims.claim([kind_of("pocket")])
    cookie = signer.sign("session", empty.key.id)
    headers, cookies = {"x-proof": signer.mark("form", cookie)}, {cookie_of(server.database): cookie}
    with httpx2.Client(base_url=empty.address, cookies=cookies, headers=headers, timeout=60) as http:
        assert 'type="submit">Cancel</button>' in http.get(f"instruct/{job.id}").text
        assert http.post(f"instruct/{job.id}/cancel").status_code == 303
        page = http.get(f"instruct/{job.id}").text
        assert "Cancelling …" in page
        assert 'type="submit">Cancel</button>' not in page
        assert '<span class="blank">cancelling</span>' in http.get("").text
        claims.end(mine, "cancelled")
        assert "<b>Cancelled.</b>" in http.get(f"instruct/{job.id}").text
        assert '<span class="blank">cancelled</span>' in http.get("").text
