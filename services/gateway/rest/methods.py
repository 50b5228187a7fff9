"""Which methods a path has."""

from starlette.routing import compile_path

from services.gateway.access.demands import REST

_FORMS = [(method, compile_path(path)[0]) for method, path in REST]


def methods_of(path: str) -> tuple[str, ...]:
    """With those that every route has; empty for a path that there is not. `*` is all paths (RFC 9110, 9.3.7)."""
    found = {method for method, form in _FORMS if path == "*" or form.match(path)}
    if not found:
        return ()
    return tuple(sorted({*found, "OPTIONS", *(["HEAD"] if "GET" in found else [])}))
