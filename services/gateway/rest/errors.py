"""Turns every failure of an HTTP request into an OpenAI error reply: the one place where an exception gets a status."""

import logging
import math
from collections.abc import Mapping, Sequence

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from services.gateway.rest.methods import methods_of
from services.runtime.errors import (
    GenerationFailed,
    InvalidRequest,
    TooLarge,
    Unauthenticated,
    VoxlineError,
    row,
    to_openai,
)
from services.runtime.quoted import shortened

logger = logging.getLogger(__name__)

# OpenAI's SDKs retry a request on 409 and on every 5xx, unless this header forbids it.
_NO_RETRY = {"x-should-retry": "false"}
_NO_RETRY_STATUS = (409, 501)
# FastAPI begins the location of a value with the part of the request that held it.
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
    """Logs an unexpected error and hides its text from the caller."""
    if isinstance(exc, VoxlineError):
        return exc
    logger.error("unforeseen error", exc_info=exc)
    return GenerationFailed("An internal error happened; the log has its trace under this request id.")


async def invalid(request: Request, exc: Exception) -> JSONResponse:
    """Handler of RequestValidationError: names the first invalid field and everything that is wrong with it."""
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
    """Handler of HTTPException, which the framework itself raises."""
    assert isinstance(exc, HTTPException)
    if exc.status_code == 413:
        return to_response(TooLarge(exc.detail))
    if exc.status_code == 404:
        return _of_url(exc, f"Unknown request URL: {_method(request)} {_path(request)}.", "unknown_url")
    if exc.status_code == 405:
        allowed = ", ".join(methods_of(request.url.path))
        message = f"{_method(request)} is not allowed on {_path(request)}; it has {allowed}."
        return _of_url(exc, message, "method_not_allowed", {"allow": allowed})
    return to_response(InvalidRequest(exc.detail))


def _method(request: Request) -> str:
    return shortened(request.method)


def _path(request: Request) -> str:
    return shortened(request.url.path)


def _of_url(exc: HTTPException, message: str, code: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """These errors have no row in the error table, because only HTTP has them."""
    detail = ErrorDetail(message=message, type="invalid_request_error", param=None, code=code)
    return JSONResponse(ErrorBody(error=detail).model_dump(), exc.status_code, headers)
