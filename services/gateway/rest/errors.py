"""Every failure of an HTTP request as an OpenAI error reply: the one place where an exception becomes a status."""

import logging
import math
from collections.abc import Sequence

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from services.runtime.errors import (
    GenerationFailed,
    InvalidRequest,
    TooLarge,
    Unauthenticated,
    VoxlineError,
    row,
    to_openai,
)

logger = logging.getLogger(__name__)

# OpenAI's SDKs repeat a request on 409 and on every 5xx, unless this header says that it is in vain.
_NO_RETRY = {"x-should-retry": "false"}
_NO_RETRY_STATUS = (409, 501)
# Where FastAPI says that a value came from.
_SOURCES = ("body", "query", "path", "header")


class ErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """The body of every reply with status 400 or above."""

    error: ErrorDetail


def to_response(error: VoxlineError) -> JSONResponse:
    status = row(error).http
    headers = dict(_NO_RETRY) if status in _NO_RETRY_STATUS else {}
    if error.retry_after is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after))
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = "Bearer"
    return JSONResponse(to_openai(error), status, headers)


def to_ours(exc: Exception) -> VoxlineError:
    """Logs what nobody foresaw, and hides it from the caller."""
    if isinstance(exc, VoxlineError):
        return exc
    logger.error("unforeseen error", exc_info=exc)
    return GenerationFailed("An internal error happened; the log has its trace under this request id.")


async def invalid(request: Request, exc: Exception) -> JSONResponse:
    """Handler of RequestValidationError: the first field at fault, with all that is wrong with it."""
    assert isinstance(exc, RequestValidationError)
    problems = exc.errors()
    location: Sequence[str | int] = problems[0]["loc"]
    field = next((part for part in location if isinstance(part, str) and part not in _SOURCES), None)
    if problems[0]["type"] == "json_invalid":
        return to_response(InvalidRequest("The body is not valid JSON."))
    if field is None:
        return to_response(InvalidRequest("The body must be a JSON object, sent as Content-Type: application/json."))
    messages = dict.fromkeys(str(problem["msg"]) for problem in problems if field in problem["loc"])
    return to_response(InvalidRequest(f"Invalid '{field}': {', or '.join(messages)}.", field=field))


async def refused(request: Request, exc: Exception) -> JSONResponse:
    """Handler of HTTPException: what the framework itself turns away."""
    assert isinstance(exc, HTTPException)
    if exc.status_code == 413:
        return to_response(TooLarge(exc.detail))
    if exc.status_code == 404:
        return _of_url(exc, f"Unknown request URL: {request.method} {request.url.path}.", "unknown_url")
    if exc.status_code == 405:
        return _of_url(exc, f"{request.method} is not allowed on {request.url.path}.", "method_not_allowed")
    return to_response(InvalidRequest(exc.detail))


def _of_url(exc: HTTPException, message: str, code: str) -> JSONResponse:
    """No row of the table: these never leave the HTTP side."""
    detail = ErrorDetail(message=message, type="invalid_request_error", param=None, code=code)
    return JSONResponse(ErrorBody(error=detail).model_dump(), exc.status_code, exc.headers)
