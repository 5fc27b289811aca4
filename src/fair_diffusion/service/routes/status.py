"""Is the server alive, is it ready, what does it serve, what are its figures."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from fair_diffusion.service.answer_shapes import Alive, ModelList, ModelShown, Ready
from fair_diffusion.service.keys import OPERATOR
from fair_diffusion.service.problems import documented, no_such, overloaded
from fair_diffusion.service.served_model import ServedModel, served_models
from fair_diffusion.service.server import Anybody, Asker, Here

router = APIRouter(tags=["status"])


@router.get("/health")
async def health() -> Alive:
    """Alive. It needs no key."""
    return {"status": "ok"}


@router.get("/ready", responses=documented())
def ready(server: Here, key: Anybody) -> Ready:
    """Whether the database answers and a worker has loaded a model; 503 if not."""
    models = [model.name for model in served_models(server.database) if model.ready]
    if not models:
        raise overloaded("no worker is there; requests wait until one is", 5.0)
    return {"status": "ready", "models": models}


@router.get("/v1/models", responses=documented(403))
def models(server: Here, key: Asker) -> ModelList:
    """The models that workers draw with."""
    return {"object": "list", "data": [_shown(model) for model in served_models(server.database)]}


@router.get("/v1/models/{model:path}", responses=documented(400, 403, 404))
def model(model: str, server: Here, key: Asker) -> ModelShown:
    """One model."""
    for each in served_models(server.database):
        if each.name == model:
            return _shown(each)
    raise no_such("model")


@router.get(
    "/metrics",
    responses={200: {"description": "figures for Prometheus", "content": {"text/plain": {}}}, **documented(403)},
    response_class=Response,
)
def metrics(server: Here, key: Asker) -> Response:
    """Figures for Prometheus. Those of streams are for operators."""
    return Response(server.metrics.text(streams=key.role == OPERATOR), media_type=CONTENT_TYPE_LATEST)


def _shown(model: ServedModel) -> ModelShown:
    return {
        "id": model.name,
        "object": "model",
        "created": int(model.created),
        "owned_by": "fair-diffusion",
        "ready": model.ready,
        "size": "auto" if model.upstream else f"{model.width}x{model.height}",
        "steps": model.steps,
        "guidance": model.guidance,
        "attributes": model.attributes,
        "weights": model.weights,
    }
