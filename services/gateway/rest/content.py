"""What the head of a request says of its body, and what is said of a body in another form than is read here."""

from starlette.datastructures import Headers

from services.runtime.errors import UnsupportedMediaType
from services.runtime.quoted import quoted

JSON = "application/json"
FORM = "multipart/form-data"


def as_it_is(headers: Headers) -> None:
    """Raises UnsupportedMediaType for a body that is compressed: few bytes may become any number."""
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return
    for name, plain in (("Content-Encoding", ("", "identity")), ("Transfer-Encoding", ("", "chunked"))):
        coding = ", ".join(headers.getlist(name)).strip()
        if coding.lower() not in plain:
            raise UnsupportedMediaType(
                f"The body's {name} is {quoted(coding)}, which is not read here; send the body as it is, without that."
            )


def media_type(headers: Headers) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def is_json(headers: Headers) -> bool:
    kind = media_type(headers)
    return kind == JSON or (kind.startswith("application/") and kind.endswith("+json"))


def unreadable(headers: Headers, why: str) -> str:
    """Of a body that is no text: `why`, unless the head says that it was not meant for one."""
    if media_type(headers) and not is_json(headers):
        return wrong_type(headers, f"JSON as {JSON}, or a form as {FORM}")
    _, charset, named = headers.get("content-type", "").lower().partition("charset=")
    told = f" Its Content-Type says charset {quoted(named)}; JSON is UTF-8." if charset and "utf-8" not in named else ""
    return why + told


def wrong_type(headers: Headers, wanted: str) -> str:
    kind = headers.get("content-type", "")
    sent = f"The body's Content-Type is {quoted(kind)}" if kind else "The body has no Content-Type"
    return f"{sent}; send {wanted}."
