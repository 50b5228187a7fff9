"""What every database can keep as text."""

import re

from services.runtime.errors import InvalidRequest

# PostgreSQL stores no NUL, and UTF-8 has no surrogates.
_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")


def storable(text: str) -> bool:
    return _NOT_STORABLE.search(text) is None


def check_text(text: str, field: str) -> None:
    """Raises InvalidRequest for what not every database stores."""
    if not storable(text):
        raise InvalidRequest(f"{field} holds a NUL or a lone surrogate; neither is text.", field=field)
