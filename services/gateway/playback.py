"""How a stream of audio sounds to a listener who plays it as it comes."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np

from services.gateway.metrics import GatewayMetrics
from services.runtime.audio import Audio

# Samples below this are silence to a listener.
_AUDIBLE = 1e-3


@dataclass
class Playback:
    """A player that starts with the first audio. Times are on time.monotonic()'s clock, in seconds.

    `waited`: how long the listener waited for us, without the time that we waited for the listener; `starved`: for how
    much of it the player had nothing to play.
    """

    started_at: float
    first_sound_at: float | None = None
    audio_seconds: float = 0.0
    waited: float = 0.0
    starved: float = 0.0
    _empty_at: float | None = None

    def received(self, audio: Audio, asked_at: float, now: float) -> None:
        """Audio that was asked for at `asked_at` has come."""
        self.waited += now - asked_at
        if self._empty_at is not None:
            self.starved += max(0.0, now - max(self._empty_at, asked_at))
        self._empty_at = max(self._empty_at or now, now) + audio.seconds
        self.audio_seconds += audio.seconds
        if self.first_sound_at is None and len(audio.samples) and np.abs(audio.samples).max() > _AUDIBLE:
            self.first_sound_at = now


async def measured(source: AsyncGenerator[Audio, None], metrics: GatewayMetrics) -> AsyncGenerator[Audio, None]:
    """Passes `source` on, which it owns, and observes how it would have sounded; also when it is left early."""
    playback = Playback(time.monotonic())
    try:
        async with aclosing(source):
            asked_at = playback.started_at
            async for audio in source:
                playback.received(audio, asked_at, time.monotonic())
                metrics.audio_seconds.inc(audio.seconds)
                yield audio
                asked_at = time.monotonic()
    finally:
        _observe(playback, metrics)


def _observe(playback: Playback, metrics: GatewayMetrics) -> None:
    if playback.first_sound_at is not None:
        metrics.time_to_first_audio.observe(playback.first_sound_at - playback.started_at)
    if playback.audio_seconds:
        metrics.real_time_factor.observe(playback.waited / playback.audio_seconds)
        metrics.underrun.observe(playback.starved)
