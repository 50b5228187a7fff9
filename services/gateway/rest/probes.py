"""Routes for orchestrators, Prometheus and people. They belong to no surface."""

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.responses import JSONResponse, RedirectResponse, Response

from services.gateway.rest.dependencies import TheGateway

router = APIRouter(tags=["operation"])


@router.get("/healthz", summary="Whether the process lives")
async def healthz() -> dict[str, str]:
    return {"status": "alive"}


@router.get(
    "/readyz",
    summary="Whether it can speak now",
    response_class=JSONResponse,
    responses={503: {"description": "Not ready, with the reasons."}},
)
async def readyz(gateway: TheGateway) -> Response:
    reasons = gateway.ready()
    if reasons:
        return JSONResponse({"status": "not ready", "reasons": reasons}, 503)
    if degraded := gateway.degraded():
        return JSONResponse({"status": "degraded", "reasons": degraded})
    return JSONResponse({"status": "ready"})


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    registry: CollectorRegistry = request.app.state.registry
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(registry), headers={"content-type": media_type})


@router.get("/", include_in_schema=False)
async def root() -> RedirectResponse:
    return RedirectResponse("/docs")
