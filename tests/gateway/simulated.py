"""A machine that speaks for listeners, simulated: time passes only where a test says so."""

import asyncio
import heapq
import itertools
import math
from collections.abc import Awaitable
from dataclasses import dataclass, field

import numpy as np

from services.gateway.admission import Admission, AdmissionPolicy
from services.gateway.playback import Playback
from services.runtime.audio import Audio
from services.runtime.errors import Overloaded

TICK = 0.02
RATE = 100
# Audio-seconds a second.
CAPACITY = 24.0


class Clock:
    """Sleepers wake in order, each once all that woke before it has done what it can."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleeping: list[tuple[float, int, asyncio.Future[None]]] = []
        self._places = itertools.count()

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleeping, (self.now + seconds, next(self._places), future))
        await future

    async def run(self, seconds: float) -> None:
        until = self.now + seconds
        await settled()
        while self._sleeping and self._sleeping[0][0] <= until:
            self.now, _, future = heapq.heappop(self._sleeping)
            if not future.done():
                future.set_result(None)
            await settled()
        self.now = until


async def settled() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


@dataclass(eq=False)
class Speech:
    """A reply being made: a first chunk of .2 s of audio, then chunks that grow to 1 s."""

    seconds: float
    playback: Playback
    made: float = 0.0
    sent: float = 0.0
    last: float = 0.0
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def chunk(self) -> float:
        """Seconds of the next one."""
        return min(1.0, max(0.2, self.last * 1.5), self.seconds - self.sent)

    def make(self, seconds: float, now: float) -> None:
        self.made = min(self.made + seconds, self.seconds)
        chunk = self.chunk
        if self.made - self.sent >= chunk - 1e-9:
            self.playback.received(Audio(np.ones(round(chunk * RATE), np.float32), RATE), now)
            self.playback.asked(now)
            self.sent += chunk
            self.last = chunk
        if self.sent >= self.seconds - 0.01:
            self.done.set()


class Machine:
    """Speaks for `slots` listeners at once, in equal parts; the rest wait in the order that they came. `fastest`: the
    most audio-seconds a second for one. `beginning`: it speaks for all, first for who runs out first, and a first chunk
    takes so many times as long as its audio would later; None where it is in equal parts.
    """

    def __init__(
        self,
        clock: Clock,
        policy: AdmissionPolicy,
        slots: int,
        capacity: float = CAPACITY,
        fastest: float = math.inf,
        beginning: float | None = None,
    ) -> None:
        self.clock, self.slots, self.capacity, self.fastest = clock, slots, capacity, fastest
        self.beginning = beginning
        self.admission = Admission(policy, lambda: clock.now, clock.sleep)
        self.speeches: list[Speech] = []
        self.heard: list[Playback] = []
        self.refused = 0
        self._tasks = [asyncio.create_task(self._work())]

    async def _work(self) -> None:
        while True:
            await self.clock.sleep(TICK)
            if self.beginning is None:
                self._share()
            else:
                self._serve_earliest(self.beginning)
            self.speeches = [speech for speech in self.speeches if not speech.done.is_set()]

    def _share(self) -> None:
        running = self.speeches[: self.slots]
        for speech in running:
            speech.make(min(self.capacity / len(running), self.fastest) * TICK, self.clock.now)

    def _serve_earliest(self, beginning: float) -> None:
        """Those who have heard nothing yet before all others, as the detokenizer does."""
        capacity_left, now = self.capacity * TICK, self.clock.now
        heard = [speech for speech in self.speeches if speech.sent]
        heard.sort(key=lambda speech: speech.playback.lead(now, 0.0))
        for speech in [*(speech for speech in self.speeches if not speech.sent), *heard]:
            cost = 1.0 if speech.sent else beginning
            seconds = min(speech.sent + speech.chunk - speech.made, capacity_left / cost)
            speech.make(seconds, now)
            capacity_left -= seconds * cost

    async def listen(self, seconds: float) -> bool:
        playback = Playback(self.clock.now)
        playback.asked(self.clock.now)
        try:
            async with self.admission.admitted(playback, real_time=True):
                speech = Speech(seconds, playback)
                self.speeches.append(speech)
                await speech.done.wait()
        except Overloaded:
            self.refused += 1
            return False
        self.heard.append(playback)
        return True

    def start(self, listener: Awaitable[object]) -> None:
        self._tasks.append(asyncio.ensure_future(listener))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def first_sounds(self) -> list[float]:
        return [one.first_sound_at - one.started_at for one in self.heard if one.first_sound_at is not None]

    @property
    def underruns(self) -> list[float]:
        return [one.underrun for one in self.heard]
