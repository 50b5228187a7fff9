"""What has come of a generation, so that a replacement which draws it again can be heard from there on."""

from services.gateway.clients.events import Finish, LlmEvent
from services.gateway.tokens import SpeakerTokens
from services.runtime.errors import GenerationFailed


class Drawn:
    """`codes` in all; a replacement has repeated some of them."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self._speaker: SpeakerTokens | None = None
        self._repeated = 0

    @property
    def started(self) -> bool:
        return self._speaker is not None

    def again(self) -> None:
        self._repeated = 0

    def news(self, event: LlmEvent) -> LlmEvent | None:
        """The part of an event that has not come yet. Raises GenerationFailed when the rest is not what came."""
        if isinstance(event, Finish):
            self._check(self._repeated == len(self.codes))
            return event
        if isinstance(event, SpeakerTokens):
            known, self._speaker = self._speaker, event
            self._check(known in (None, event))
            return None if known else event
        expected = self.codes[self._repeated : self._repeated + len(event)]
        self._check(list(event[: len(expected)]) == expected)
        self._repeated += len(event)
        self.codes += event[len(expected) :]
        return event[len(expected) :] or None

    def _check(self, same: bool) -> None:
        if not same:
            raise GenerationFailed("The llm stage was lost, and another replica does not draw the same speech.")
