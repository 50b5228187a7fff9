"""Consent recordings, which OpenAI asks for before it clones a voice. Nobody here would listen to them, so none is
accepted; a voice is created without one.
"""

from fastapi import APIRouter
from starlette.responses import Response

from services.runtime.errors import Unsupported

router = APIRouter(tags=["OpenAI"])


@router.api_route("/v1/audio/voice_consents", methods=["GET", "POST"], include_in_schema=False, response_class=Response)
@router.api_route(
    "/v1/audio/voice_consents/{consent_id}",
    methods=["GET", "POST", "DELETE"],
    include_in_schema=False,
    response_class=Response,
)
async def consents() -> Response:
    raise Unsupported("This server keeps no consent recordings; create the voice without one.", field="consent")
