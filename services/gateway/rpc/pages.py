"""Pages of a list of voices. A token is the place of the last voice that was given, so that voices which come or go
meanwhile neither repeat nor hide others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from services.gateway.voices.voice import VoiceResource
from services.runtime.errors import InvalidRequest

_DEFAULT_SIZE, _MAX_SIZE = 100, 1000
_BUILT_IN, _STORED = "b", "s"


@dataclass(frozen=True)
class Page:
    voices: tuple[VoiceResource, ...]
    next_token: str


def page(voices: Sequence[VoiceResource], size: int, token: str) -> Page:
    """Built-in voices, then stored ones, each by id. `size` 0 is 100, above 1000 is 1000. Raises InvalidRequest."""
    if token and token[0] not in (_BUILT_IN, _STORED):
        raise InvalidRequest("This page token is none of ours.", field="page_token")
    limit = min(size or _DEFAULT_SIZE, _MAX_SIZE)
    rest = sorted((voice for voice in voices if _place(voice) > token), key=_place)
    given = tuple(rest[:limit])
    return Page(given, _place(given[-1]) if len(rest) > limit else "")


def _place(voice: VoiceResource) -> str:
    return (_BUILT_IN if voice.built_in else _STORED) + voice.id
