"""One segment while it is drawn and played."""

import asyncio
from collections.abc import AsyncGenerator

from services.contract.frames import Frames, joined
from services.contract.speaker import Speaker


class Withdrawn(Exception):
    """What was drawn of an utterance is void: it is drawn anew."""


class Utterance:
    """The replay buffer of a segment: its frames stay until all of it has been heard, so that a replica which is lost
    can be replaced. `heard`: some of it has left the gateway, so that it cannot be drawn anew; `drawing`: how often it
    was; `error`: why no more comes; `place` in the reply, from 0.
    """

    def __init__(self, speaker: Speaker | None = None, place: int = 0) -> None:
        self.speaker = speaker
        self.place = place
        self.heard = False
        self.error: Exception | None = None
        self.drawing = 0
        self._known_speaker = speaker
        self._parts: list[Frames] = []
        self._finished = False
        self._changed = asyncio.Event()

    @property
    def end(self) -> int:
        """Frames drawn so far."""
        return self._parts[-1].end if self._parts else 0

    @property
    def finished(self) -> bool:
        """Whether all of it is drawn, or nothing more comes."""
        return self._finished or self.error is not None

    def name(self, speaker: Speaker) -> None:
        """Who speaks it; one that was known before stays."""
        self.speaker = self.speaker or speaker
        self._changed.set()

    def extend(self, frames: Frames) -> None:
        assert frames.first == self.end
        self._parts.append(frames)
        self._changed.set()

    def finish(self) -> None:
        self._finished = True
        self._changed.set()

    def fail(self, error: Exception) -> None:
        """Whoever reads it gets the error behind the frames that there are."""
        self.error = error
        self._changed.set()

    def withdraw(self) -> None:
        """Forgets what was drawn; who reads it gets Withdrawn."""
        assert not self.heard
        self._parts.clear()
        self.speaker = self._known_speaker
        self.drawing += 1
        self._changed.set()

    def all(self) -> Frames:
        """What was drawn; at least one frame."""
        return joined(self._parts)

    def between(self, first: int, end: int) -> Frames:
        """At least one frame."""
        whole = joined([part for part in self._parts if part.end > first and part.first < end]).since(first)
        return Frames(whole.first, whole.values[: end - whole.first])

    async def begun(self) -> None:
        """Waits until the speaker is known, or a frame where the family has none. Raises the error before that."""
        while self.speaker is None and not self._parts and not self._finished:
            await self._next()

    async def frames(self, first: int) -> AsyncGenerator[Frames, None]:
        """From frame `first` on, as they come; then the error, if there is one. Raises Withdrawn."""
        drawing, place = self.drawing, 0
        while True:
            while place < len(self._parts):
                part = self._parts[place].since(first)
                place += 1
                if len(part):
                    yield part
                if self.drawing != drawing:
                    raise Withdrawn
            if self._finished:
                return
            await self._next()
            if self.drawing != drawing:
                raise Withdrawn

    async def _next(self) -> None:
        if self.error is not None:
            raise self.error
        self._changed.clear()
        await self._changed.wait()
