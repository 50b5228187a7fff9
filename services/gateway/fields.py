"""Errors name fields of our own request; a caller knows only those of the body that it sent."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from services.runtime.errors import VoxlineError


@contextmanager
def renamed(names: Mapping[str, str]) -> Iterator[None]:
    """Raises an error from inside again, its field called as in `names`; any other field stays."""
    try:
        yield
    except VoxlineError as exc:
        if exc.field is None or exc.field not in names:
            raise
        raise type(exc)(exc.message, field=names[exc.field], retry_after=exc.retry_after) from exc
