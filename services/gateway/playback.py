"""How a reply sounds to a listener that plays it as it arrives: first sound, lead and underrun."""

import math
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np

from services.gateway.metrics import GatewayMetrics
from services.runtime.audio import Audio

# A chunk whose samples all lie at or below this is silent.
_AUDIBLE = 1e-3
# The recent pace forgets with this time constant, in seconds of waiting.
_RECENT = 0.5


@dataclass(eq=False)
class Playback:
    """A player that starts with the first audio. Times are on time.monotonic()'s clock, in seconds.

    `waited`: how long the listener has waited for us; the time that we waited for the listener is not part of it.
    `underrun`: for how much of `waited` the player had nothing to play. `asked_at`: when the listener began to wait for
    the next chunk; None while we wait for the listener.
    """

    started_at: float
    asked_at: float | None = None
    first_sound_at: float | None = None
    audio_seconds: float = 0.0
    waited: float = 0.0
    underrun: float = 0.0
    _recent_audio: float = 0.0
    _recent_wait: float = 0.0
    _empty_at: float | None = None

    def asked(self, now: float) -> None:
        self.asked_at = now

    def received(self, audio: Audio, now: float) -> None:
        """The chunk that the listener waits for has arrived."""
        assert self.asked_at is not None, "audio that nobody asked for"
        wait = now - self.asked_at
        self.waited += wait
        if self._empty_at is not None:
            self.underrun += max(0.0, now - max(self._empty_at, self.asked_at))
            kept = math.exp(-wait / _RECENT)
            self._recent_audio = kept * self._recent_audio + audio.seconds
            self._recent_wait = kept * self._recent_wait + wait
        self.asked_at = None
        self._empty_at = max(self._empty_at or now, now) + audio.seconds
        self.audio_seconds += audio.seconds
        if self.first_sound_at is None and len(audio.samples) and np.abs(audio.samples).max() > _AUDIBLE:
            self.first_sound_at = now

    @property
    def recent(self) -> tuple[float, float]:
        """Seconds of audio received after the first chunk, and seconds waited for them; older ones count less."""
        return self._recent_audio, self._recent_wait

    def heard_for(self, now: float) -> float:
        """Seconds since the first sound."""
        return 0.0 if self.first_sound_at is None else now - self.first_sound_at

    def lead(self, now: float, patience: float) -> float:
        """Seconds until the listener notices that we are late: when it has played everything, or, before the first
        audio, when it has waited for `patience` seconds. Infinite while we wait for the listener.
        """
        if self.asked_at is None:
            return math.inf
        return (self.started_at + patience if self._empty_at is None else self._empty_at) - now


async def measured(
    source: AsyncGenerator[Audio, None], playback: Playback, metrics: GatewayMetrics
) -> AsyncGenerator[Audio, None]:
    """Passes `source` on, which it owns, and observes its playback in the metrics, also when the reply ends early."""
    try:
        async with aclosing(source):
            playback.asked(playback.started_at)
            async for audio in source:
                playback.received(audio, time.monotonic())
                metrics.audio_seconds.inc(audio.seconds)
                yield audio
                playback.asked(time.monotonic())
    finally:
        _observe(playback, metrics)


def _observe(playback: Playback, metrics: GatewayMetrics) -> None:
    if playback.first_sound_at is not None:
        metrics.time_to_first_audio.observe(playback.first_sound_at - playback.started_at)
    if playback.audio_seconds:
        metrics.real_time_factor.observe(playback.waited / playback.audio_seconds)
        metrics.underrun.observe(playback.underrun)
