"""Turns every failure of an HTTP request into an OpenAI error reply: the one place where an exception gets a status."""

import logging
import math
from collections.abc import Mapping

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from services.gateway.rest.content import FORM, JSON, is_json, media_type, wrong_type
from services.gateway.rest.invalid_values import Problem, described, field_of, told
from services.gateway.rest.methods import methods_of
from services.runtime.errors import (
    GenerationFailed,
    InvalidRequest,
    TooLarge,
    Unauthenticated,
    UnsupportedMediaType,
    VoxlineError,
    row,
    to_openai,
)
from services.runtime.quoted import shortened

logger = logging.getLogger(__name__)

# OpenAI's SDKs retry a request on 409 and on every 5xx, unless this header forbids it.
_NO_RETRY = {"x-should-retry": "false"}
_NO_RETRY_STATUS = (409, 501)
# What FastAPI says of a body that json could not read for any other reason than its syntax.
_UNREAD = "There was an error parsing the body"


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
    if isinstance(error, UnsupportedMediaType):
        headers["accept-encoding"] = "identity"
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
    first, field = problems[0], field_of(problems[0])
    if first["type"] == "json_invalid":
        place = first["loc"][1] + 1
        return to_response(
            InvalidRequest(f"The body is not valid JSON: {first['ctx']['error']}, at character {place}.")
        )
    if first["loc"][0] == "body" and (complaint := _of_content(request, first)):
        return to_response(InvalidRequest(complaint))
    assert field is not None
    return to_response(InvalidRequest(told(field, [each for each in problems if field in each["loc"]]), field=field))


def _of_content(request: Request, problem: Problem) -> str:
    """What is wrong with the body as a whole; empty where something in it is."""
    wanted = request.scope["route"].body_field.field_info.media_type
    if wanted == FORM:
        return "" if media_type(request.headers) == FORM else wrong_type(request.headers, f"a form, as {FORM}")
    if field_of(problem) is not None:
        return ""
    if problem["type"] == "missing":
        return f"There is no body; it must be a JSON object, sent as Content-Type: {JSON}."
    if not is_json(request.headers):
        return wrong_type(request.headers, f"a JSON object, as Content-Type: {JSON}")
    return f"The body must be a JSON object; {described(problem['input'])} was sent."


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
    if exc.detail == _UNREAD:
        too = "nests too deep" if isinstance(exc.__cause__, RecursionError) else "holds a number of too many digits"
        return to_response(InvalidRequest(f"The body is JSON that {too}."))
    return to_response(InvalidRequest(exc.detail))


def _method(request: Request) -> str:
    return shortened(request.method)


def _path(request: Request) -> str:
    return shortened(request.url.path)


def _of_url(exc: HTTPException, message: str, code: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """These errors have no row in the error table, because only HTTP has them."""
    detail = ErrorDetail(message=message, type="invalid_request_error", param=None, code=code)
    return JSONResponse(ErrorBody(error=detail).model_dump(), exc.status_code, headers)
