"""Who is let in: newcomers as long as those who listen already do not run out of sound.

Nothing is known of the machine: what it can do shows in how far the audio of each listener is ahead of what it has
played, and in how fast that grows. While too many are late, or would be with one more, a newcomer waits a moment, then
it is turned away; once they are not, newcomers come in again.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.gateway.playback import Playback
from services.runtime.errors import Overloaded

# So many are always let in.
_FEW = 2
# A listener is late once it has had nothing to play for so many seconds. One that is later still must be stuck: it
# tells nothing about the rest, and is overlooked so that it locks nobody out.
_LATE, _OVERLOOKED = 0.1, 10.0
# Of those who listen, so many may be late at a moment: a beginner has only its first chunk ahead.
_LATE_SHARE = 1 / 8
# Audio-seconds a second that each listener must still get with one more among them. Over 1: a piece is heard only once
# it is whole, and pieces grow. Nothing is lost by it: newcomers wait, and come in as others end.
_LEAST_PACE = 1.8
# What was got over so many seconds shows what the machine can do; it counts less with time, by e in so many.
_SHOWN_OVER, _SHOWN_FOR = 2.0, 600.0
# How often a newcomer looks again, in seconds.
_LOOK_AGAIN = 0.05


@dataclass(frozen=True)
class AdmissionPolicy:
    """`most`: requests at once, whatever they hear; `first_sound_seconds`: a listener who has waited longer for its
    first sound is late; `wait_seconds`: how long a newcomer waits for room; `retry_after`: when one that was turned
    away should come again.
    """

    most: int = 64
    first_sound_seconds: float = 2.0
    wait_seconds: float = 1.0
    retry_after: float = 1.0


@dataclass(frozen=True)
class Standing:
    """One listener. lead: how soon it runs out of sound; `audio` came after its first piece, in `waited`; seconds."""

    lead: float
    audio: float = 0.0
    waited: float = 0.0


def holds(listeners: Collection[Standing], shown: float) -> bool:
    """Whether one more may come in. `shown`: audio-seconds a second that all together have got before."""
    there = len(listeners)
    late = sum(-_OVERLOOKED < listener.lead < -_LATE for listener in listeners)
    return there < _FEW or (late <= there * _LATE_SHARE and _pace(listeners, shown) >= _LEAST_PACE)


def _pace(listeners: Collection[Standing], shown: float) -> float:
    """Audio-seconds a second that each would get with one more: as those do who have heard more than a first piece, but
    all together no more than those get, or than was shown.
    """
    waited = sum(listener.waited for listener in listeners)
    if not waited:
        return math.inf
    each = sum(listener.audio for listener in listeners) / waited
    hearing = sum(listener.waited > 0 for listener in listeners)
    return min(each * len(listeners), max(each * hearing, shown)) / (len(listeners) + 1)


class Throughput:
    """The most audio-seconds a second that all listeners together have got for some seconds, and of late."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, float]] = deque()
        self._most, self._at = 0.0, -math.inf

    def shown(self, now: float, audio_seconds: float) -> float:
        """`audio_seconds`: all that was ever got, until `now`."""
        self._marks.append((now, audio_seconds))
        while len(self._marks) > 1 and self._marks[1][0] <= now - _SHOWN_OVER:
            self._marks.popleft()
        then, before = self._marks[0]
        self._most *= math.exp((self._at - now) / _SHOWN_FOR)
        if now - then >= _SHOWN_OVER:
            self._most = max(self._most, (audio_seconds - before) / (now - then))
        self._at = now
        return self._most


class Admission:
    """`clock`: as time.monotonic; `sleep`: as asyncio.sleep on that clock."""

    def __init__(
        self,
        policy: AdmissionPolicy,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._sleep = sleep
        self._listening: set[Playback] = set()
        self._throughput = Throughput()
        self._gone_audio_seconds = 0.0
        self._requests = 0

    @asynccontextmanager
    async def admitted(self, playback: Playback, real_time: bool) -> AsyncIterator[None]:
        """Raises Overloaded. `real_time`: the listener plays while we speak, and its text is there already: only then
        can it be late by our fault.
        """
        if self._requests >= self._policy.most:
            raise self._overloaded(f"{self._requests} requests are being spoken, which is all that there is room for.")
        self._requests += 1
        try:
            await self._room()
            if real_time:
                self._listening.add(playback)
            yield
        finally:
            self._requests -= 1
            if playback in self._listening:
                self._listening.remove(playback)
                self._gone_audio_seconds += playback.audio_seconds

    async def _room(self) -> None:
        until = self._clock() + self._policy.wait_seconds
        while not holds(self._standings(), self._shown()):
            if self._clock() >= until:
                raise self._overloaded("The listeners there are need all that can be spoken in time.")
            await self._sleep(_LOOK_AGAIN)

    def _standings(self) -> list[Standing]:
        now, patience = self._clock(), self._policy.first_sound_seconds
        return [Standing(playback.lead(now, patience), *playback.steady) for playback in self._listening]

    def _shown(self) -> float:
        heard = sum(playback.audio_seconds for playback in self._listening)
        return self._throughput.shown(self._clock(), self._gone_audio_seconds + heard)

    def _overloaded(self, message: str) -> Overloaded:
        return Overloaded(message, retry_after=self._policy.retry_after)
