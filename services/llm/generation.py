"""One generation: what was asked of it, what was drawn, and how it ends."""

from collections.abc import Sequence
from dataclasses import replace

from services.contract.generation import Finish, FinishReason, GenerationRequest, Pace, Progress
from services.llm.engines.engine import Due, at_once
from services.llm.families.family import Family
from services.llm.playhead import Playhead
from services.llm.sampling import resolved
from services.runtime.errors import InvalidRequest


class Generation:
    """`drawn`: ids of the prefix. Raises InvalidRequest, TooLarge and Unsupported."""

    def __init__(self, family: Family, request: GenerationRequest) -> None:
        if request.prefix is not None and request.sampling.seed is None:
            raise InvalidRequest("A prefix goes on with the seed that began it.", field="sampling.seed")
        self.prompt = family.prompt(request.text, request.voice, request.language)
        self.sampling = resolved(request.sampling, self.prompt.limits)
        self.drawn = () if request.prefix is None else family.drawn(request.prefix)
        self._reader = family.reader(self.prompt, self.drawn)
        self._tokens_per_frame = family.tokens_per_frame
        self.stop_ids = family.stop_ids
        self._tokens, self._last = 0, -1
        self._count(self.drawn)

    @property
    def end(self) -> FinishReason | None:
        """None while tokens are to be drawn."""
        if self._last in self.stop_ids:
            return FinishReason.STOP
        return FinishReason.LENGTH if self._tokens >= self.sampling.max_tokens else None

    def read(self, ids: Sequence[int]) -> Progress:
        """With the finish after the last id. Raises GenerationFailed."""
        self._count(ids)
        reason = self.end
        progress = self._reader.read(ids, last=reason is not None)
        if reason is None:
            return progress
        return replace(progress, finish=Finish(reason, len(self.prompt.ids), self._tokens, self.sampling.seed))

    def due(self, pace: Pace | None) -> Due:
        """When what is drawn is worth a message."""
        if pace is None:
            return at_once
        first = self.prompt.prelude + pace.first_frames * self._tokens_per_frame
        return Playhead(pace, self._tokens_per_frame, max(0, first - len(self.drawn))).due

    def _count(self, ids: Sequence[int]) -> None:
        self._tokens += len(ids)
        self._last = ids[-1] if ids else self._last
