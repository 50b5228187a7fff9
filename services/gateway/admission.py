"""Decides which requests may start: new ones are admitted as long as the current listeners do not run out of audio.

Admission knows nothing of the machine. It sees how far the audio of each listener is ahead of the playback, and how
much audio all listeners get. Both change: a machine has other work, or throttles when it is hot. While too many
listeners are late, or would soon be with one more, a new request waits a moment and is then turned away; as soon as the
listeners are in time again, new requests are admitted.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from statistics import fmean

from services.gateway.playback import Playback
from services.runtime.errors import Overloaded

# This many listeners are always admitted.
_ALWAYS_ADMITTED = 2
# A listener is late once it has had nothing to play for _LATE seconds. One that is _STUCK seconds late says nothing
# about the others, so it is left out: otherwise it would keep every new request out.
_LATE, _STUCK = 0.1, 10.0
# This share of the listeners may be late at one moment: one that has just begun has only its first chunk as its lead.
_LATE_SHARE = 1 / 8
# Audio-seconds per second that each listener must still get after one more is admitted. It is above 1 because a chunk
# is played only once it is complete, and chunks grow. No capacity is lost: new requests wait, and start as others end.
_MIN_PACE = 1.85
# The mean lead of the listeners must be _MIN_LEAD seconds; the lead of one listener counts up to _MAX_LEAD. The
# detokenizer serves first whoever runs out first, so nobody is late until all nearly are: only the lead warns in time.
# It says nothing about a listener in the first _SETTLED seconds after its first sound.
_MIN_LEAD, _MAX_LEAD = 1.0, 2.0
_SETTLED = 0.6
# The throughput is measured over _WINDOW seconds. With at least _MANY listeners all the while, more audio was wanted,
# so a lower figure shows that the machine has become slower.
_WINDOW, _MANY = 1.0, 4
# A waiting request checks for capacity at this interval, in seconds.
_CHECK_INTERVAL = 0.05


@dataclass(frozen=True)
class AdmissionPolicy:
    """`max_requests`: the hard limit of requests that are being spoken. `first_sound_seconds`: a listener that has
    waited longer for its first sound is late. `wait_seconds`: how long a new request waits for capacity. `retry_after`:
    seconds after which a request that was turned away should be sent again. `max_text_streams`: open ones, whether or
    not they are being spoken. `paused_seconds`: a listener that reads nothing for so long gives up its slot, and after
    `gone_seconds` its reply ends.
    """

    max_requests: int = 64
    first_sound_seconds: float = 2.0
    wait_seconds: float = 1.0
    retry_after: float = 1.0
    max_text_streams: int = 256
    paused_seconds: float = 30.0
    gone_seconds: float = 600.0


@dataclass(frozen=True)
class ListenerState:
    """One listener at one moment, in seconds. `lead`: until it runs out of audio, below 0 when it has. `recent_audio`:
    audio received after the first chunk, in `recent_wait`. `heard_for`: since its first sound.
    """

    lead: float
    recent_audio: float = 0.0
    recent_wait: float = 0.0
    heard_for: float = 0.0


def has_capacity(listeners: Collection[ListenerState], throughput: float) -> bool:
    """Whether one more listener may be admitted. `throughput`: audio-seconds per second of all together so far."""
    count = len(listeners)
    late = sum(-_STUCK < listener.lead < -_LATE for listener in listeners)
    in_time = late <= count * _LATE_SHARE and _mean_lead(listeners) >= _MIN_LEAD
    return count < _ALWAYS_ADMITTED or (in_time and _pace_with_one_more(listeners, throughput) >= _MIN_PACE)


def _mean_lead(listeners: Collection[ListenerState]) -> float:
    """Of the settled listeners, in seconds; infinite when they are fewer than _MANY."""
    leads = [each.lead for each in listeners if each.heard_for >= _SETTLED and each.lead > -_STUCK]
    return fmean(max(0.0, min(lead, _MAX_LEAD)) for lead in leads) if len(leads) >= _MANY else math.inf


def _pace_with_one_more(listeners: Collection[ListenerState], throughput: float) -> float:
    """Audio-seconds per second that each listener would get. What there is to share is the present pace of the
    receiving listeners, or the throughput if that is higher. Infinite while neither is known.
    """
    waited = sum(listener.recent_wait for listener in listeners)
    each = sum(listener.recent_audio for listener in listeners) / waited if waited else 0.0
    return (max(each * _receiving(listeners), throughput) or math.inf) / (len(listeners) + 1)


def _receiving(listeners: Collection[ListenerState]) -> int:
    """How many listeners have received more than a first chunk."""
    return sum(listener.recent_wait > 0 for listener in listeners)


@dataclass(frozen=True)
class _Measurement:
    at: float
    audio_seconds: float
    receiving: int


class Throughput:
    """The highest throughput measured, in audio-seconds per second of all listeners together. A lower one replaces it
    when many listeners received it.
    """

    def __init__(self) -> None:
        self._measurements: deque[_Measurement] = deque()
        self._highest = 0.0

    def measure(self, now: float, audio_seconds: float, receiving: int) -> float:
        """-> the throughput. `audio_seconds`: total since the start, of all requests; `receiving`: listeners now."""
        measurements = self._measurements
        if not measurements or now - measurements[-1].at >= _CHECK_INTERVAL:
            measurements.append(_Measurement(now, audio_seconds, receiving))
            while len(measurements) > 1 and measurements[1].at <= now - _WINDOW:
                measurements.popleft()
            if (seconds := now - measurements[0].at) >= _WINDOW:
                rate = (audio_seconds - measurements[0].audio_seconds) / seconds
                # Over a longer time nothing is known of the listeners in between: no request came to measure them.
                many = seconds < 2 * _WINDOW and all(each.receiving >= _MANY for each in measurements)
                self._highest = rate if many else max(self._highest, rate)
        return self._highest


class Admission:
    """`clock` works as time.monotonic, `sleep` as asyncio.sleep on that clock."""

    def __init__(
        self,
        policy: AdmissionPolicy,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.policy = policy
        self._clock = clock
        self._sleep = sleep
        self._listeners: set[Playback] = set()
        self._throughput = Throughput()
        self._departed_audio_seconds = 0.0
        self._requests = 0
        self._text_streams = 0

    @property
    def requests(self) -> int:
        """Slots that are taken."""
        return self._requests

    @asynccontextmanager
    async def admitted(self, playback: Playback, real_time: bool) -> AsyncIterator["Slot"]:
        """With a slot. Raises Overloaded. `real_time`: the audio is played while it is made, from a text that is
        complete. Only such a listener can be late by our fault; any other counts against the hard limit alone.
        """
        slot = Slot(self, playback, real_time)
        try:
            await slot.begin_segment()
            yield slot
        finally:
            slot.release()

    @asynccontextmanager
    async def text_stream(self, slot: "Slot") -> AsyncIterator["Slot"]:
        """Without a slot, until there is something to speak. Raises Overloaded."""
        if self._text_streams >= self.policy.max_text_streams:
            raise self._overloaded(f"{self._text_streams} text streams are open, which is all that there may be.")
        self._text_streams += 1
        try:
            yield slot
        finally:
            self._text_streams -= 1
            slot.release()

    def slot(self, playback: Playback) -> "Slot":
        """Of a text stream; not taken yet."""
        return Slot(self, playback, real_time=False)

    async def take(self, playback: Playback, real_time: bool) -> None:
        """Raises Overloaded."""
        if self._requests >= self.policy.max_requests:
            raise self._overloaded(f"{self._requests} requests are being spoken, which is all that there is room for.")
        self._requests += 1
        with ExitStack() as undo:
            undo.callback(self.give_back, playback)
            await self._wait_for_capacity()
            undo.pop_all()
        if real_time:
            self._listen(playback)

    async def take_again(self, playback: Playback, real_time: bool) -> None:
        """As soon as there is a slot: something of the reply has been heard."""
        while self._requests >= self.policy.max_requests:
            await self._sleep(_CHECK_INTERVAL)
        self._requests += 1
        if real_time:
            self._listen(playback)

    def give_back(self, playback: Playback) -> None:
        self._requests -= 1
        if playback in self._listeners:
            self._listeners.remove(playback)
            self._departed_audio_seconds += playback.audio_seconds

    def _listen(self, playback: Playback) -> None:
        self._listeners.add(playback)
        self._departed_audio_seconds -= playback.audio_seconds

    async def _wait_for_capacity(self) -> None:
        until = self._clock() + self.policy.wait_seconds
        while not self._has_capacity():
            if self._clock() >= until:
                raise self._overloaded("The listeners there are need all that can be spoken in time.")
            await self._sleep(_CHECK_INTERVAL)

    def _has_capacity(self) -> bool:
        now, patience = self._clock(), self.policy.first_sound_seconds
        listeners = [
            ListenerState(playback.lead(now, patience), *playback.recent, playback.heard_for(now))
            for playback in self._listeners
        ]
        total = self._departed_audio_seconds + sum(playback.audio_seconds for playback in self._listeners)
        return has_capacity(listeners, self._throughput.measure(now, total, _receiving(listeners)))

    def _overloaded(self, message: str) -> Overloaded:
        return Overloaded(message, retry_after=self.policy.retry_after)


class Slot:
    """What one request holds while it is spoken. It is given up where the listener reads nothing, or where whoever
    writes the text says nothing.
    """

    def __init__(self, admission: Admission, playback: Playback, real_time: bool) -> None:
        self._admission = admission
        self._playback = playback
        self._real_time = real_time
        self._held = False
        self._taking = asyncio.Lock()
        self._taken_before = False
        self._segments = 0

    async def take(self) -> None:
        """Where there is something to speak. Raises Overloaded the first time; later it waits."""
        if self._held or not self._segments:
            return
        # A listener who comes back and the next piece of the text may wait for it at once.
        async with self._taking:
            if not self._held:
                take = self._admission.take_again if self._taken_before else self._admission.take
                await take(self._playback, self._real_time)
                self._held = self._taken_before = True

    def release(self) -> None:
        if self._held:
            self._held = False
            self._admission.give_back(self._playback)

    async def begin_segment(self) -> None:
        """There is something to speak."""
        self._segments += 1
        await self.take()

    def end_segment(self) -> None:
        """It has been heard; the slot is given back once all has."""
        self._segments -= 1
        if not self._segments:
            self.release()

    @contextmanager
    def handing_on(self) -> Iterator[None]:
        """While the listener has a chunk, and we wait for it to ask for the next. A task whose listener never does is
        cancelled.
        """
        task, loop, policy = asyncio.current_task(), asyncio.get_running_loop(), self._admission.policy
        assert task is not None
        paused = loop.call_later(policy.paused_seconds, self.release)
        gone = loop.call_later(policy.gone_seconds, task.cancel, "The listener has read nothing for too long.")
        try:
            yield
        finally:
            paused.cancel()
            gone.cancel()
