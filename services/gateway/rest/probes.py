"""Routes for orchestrators and people. They belong to no surface."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, RedirectResponse, Response

from services.gateway.rest.dependencies import TheGateway

router = APIRouter(tags=["operation"])


@router.get("/healthz", summary="Whether the process lives")
@router.get("/health", include_in_schema=False)
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


@router.get("/", include_in_schema=False)
async def root() -> RedirectResponse:
    return RedirectResponse("/docs")
