"""Who is let in: newcomers as long as those who listen already do not run out of sound.

Nothing is known of the machine: what it can do shows in how far the audio of each listener is ahead of what it has
played, and in how much all of them get. That changes: a machine has other work, or grows hot. While too many are late,
or may soon be with one more, a newcomer waits a moment, then is turned away; once not, newcomers come in again.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import fmean

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
_LEAST_PACE = 1.85
# What a crowd must have ahead on average, in seconds, of which those of one count up to the second. Who runs out first
# is served first, so that nobody is late until all are about to be: only what they have ahead tells in time. It tells
# nothing of those who have not heard for so long.
_LEAST_LEAD, _MOST_LEAD = 1.0, 2.0
_HEARD_FOR = 0.6
# What was got over so many seconds shows what the machine can do, and, where so many wanted more all the while, what it
# cannot do any more.
_SHOWN_OVER, _CROWD = 1.0, 4
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
    """One listener. lead: how soon it runs out of sound; `audio` came after its first piece, in `waited`; `heard_for`:
    since its first sound; seconds.
    """

    lead: float
    audio: float = 0.0
    waited: float = 0.0
    heard_for: float = 0.0


def holds(listeners: Collection[Standing], shown: float) -> bool:
    """Whether one more may come in. `shown`: audio-seconds a second that all together have got before."""
    there = len(listeners)
    late = sum(-_OVERLOOKED < listener.lead < -_LATE for listener in listeners)
    in_time = late <= there * _LATE_SHARE and _ahead(listeners) >= _LEAST_LEAD
    return there < _FEW or (in_time and _pace(listeners, shown) >= _LEAST_PACE)


def _ahead(listeners: Collection[Standing]) -> float:
    """Seconds that those have ahead on average who have heard for a while. Infinite where they are few."""
    leads = [each.lead for each in listeners if each.heard_for >= _HEARD_FOR and each.lead > -_OVERLOOKED]
    return fmean(max(0.0, min(lead, _MOST_LEAD)) for lead in leads) if len(leads) >= _CROWD else math.inf


def _pace(listeners: Collection[Standing], shown: float) -> float:
    """Audio-seconds a second that each would get with one more, if all together get what those do who have heard more
    than a first piece, or what was shown. Infinite while nothing is known.
    """
    waited = sum(listener.waited for listener in listeners)
    each = sum(listener.audio for listener in listeners) / waited if waited else 0.0
    return (max(each * _hearing(listeners), shown) or math.inf) / (len(listeners) + 1)


def _hearing(listeners: Collection[Standing]) -> int:
    return sum(listener.waited > 0 for listener in listeners)


@dataclass(frozen=True)
class _Mark:
    at: float
    audio_seconds: float
    hearing: int


class Throughput:
    """The most audio-seconds a second that all listeners together have got, or less once a crowd gets less."""

    def __init__(self) -> None:
        self._marks: deque[_Mark] = deque()
        self._most = 0.0

    def shown(self, now: float, audio_seconds: float, hearing: int) -> float:
        """`audio_seconds`: all that was ever got, until `now`; `hearing`: how many get it."""
        marks = self._marks
        if not marks or now - marks[-1].at >= _LOOK_AGAIN:
            marks.append(_Mark(now, audio_seconds, hearing))
            while len(marks) > 1 and marks[1].at <= now - _SHOWN_OVER:
                marks.popleft()
            if (seconds := now - marks[0].at) >= _SHOWN_OVER:
                rate = (audio_seconds - marks[0].audio_seconds) / seconds
                # Of a longer time nothing is known in between: nobody asked.
                crowded = seconds < 2 * _SHOWN_OVER and all(mark.hearing >= _CROWD for mark in marks)
                self._most = rate if crowded else max(self._most, rate)
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
        while not self._holds():
            if self._clock() >= until:
                raise self._overloaded("The listeners there are need all that can be spoken in time.")
            await self._sleep(_LOOK_AGAIN)

    def _holds(self) -> bool:
        now, patience = self._clock(), self._policy.first_sound_seconds
        standings = [
            Standing(playback.lead(now, patience), *playback.steady, playback.heard_for(now))
            for playback in self._listening
        ]
        got = self._gone_audio_seconds + sum(playback.audio_seconds for playback in self._listening)
        return holds(standings, self._throughput.shown(now, got, _hearing(standings)))

    def _overloaded(self, message: str) -> Overloaded:
        return Overloaded(message, retry_after=self._policy.retry_after)
