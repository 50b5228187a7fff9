"""Text as a JSON body carries it: JavaScript cuts strings between the halves of a character, and sends half of it."""

from typing import Annotated

from pydantic import BeforeValidator


def _whole_characters(value: object) -> object:
    """Half a surrogate pair becomes U+FFFD; nothing else changes."""
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_whole_characters)]
