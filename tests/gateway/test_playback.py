import math
import time

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from services.gateway.metrics import GatewayMetrics
from services.gateway.playback import Playback, measured
from services.runtime.audio import Audio
from services.runtime.streams import collected


def sound(seconds: float, level: float = 0.5) -> Audio:
    return Audio(np.full(round(seconds * 1000), level, np.float32), 1000)


def hear(playback: Playback, audio: Audio, asked_at: float, now: float) -> None:
    playback.asked(asked_at)
    playback.received(audio, now)


def test_player_starves_between_the_end_of_one_chunk_and_the_next():
    playback = Playback(started_at=10.0)
    hear(playback, sound(1.0), asked_at=10.0, now=10.5)
    hear(playback, sound(1.0), asked_at=10.5, now=11.0)
    assert playback.underrun == 0.0
    hear(playback, sound(1.0), asked_at=11.0, now=12.75)
    assert playback.underrun == pytest.approx(0.25)
    hear(playback, sound(1.0), asked_at=12.75, now=13.5)
    assert playback.underrun == pytest.approx(0.25)
    assert playback.waited == pytest.approx(3.5)


def test_listener_who_reads_late_does_not_starve_by_our_fault():
    playback = Playback(started_at=0.0)
    hear(playback, sound(1.0), asked_at=0.0, now=0.1)
    hear(playback, sound(1.0), asked_at=9.0, now=9.2)
    assert playback.underrun == pytest.approx(0.2)
    assert playback.waited == pytest.approx(0.3)


def test_first_sound_is_the_first_that_can_be_heard():
    playback = Playback(started_at=0.0)
    hear(playback, sound(0.2, level=0.0), asked_at=0.0, now=1.0)
    hear(playback, sound(0.2), asked_at=1.0, now=2.0)
    hear(playback, sound(0.2), asked_at=2.0, now=3.0)
    assert playback.first_sound_at == 2.0


async def test_stream_passes_through_and_is_observed_once():
    registry = CollectorRegistry()
    chunks = [sound(0.25), sound(0.5)]

    async def source():
        for chunk in chunks:
            yield chunk

    assert await collected(measured(source(), Playback(time.monotonic()), GatewayMetrics(registry))) == chunks
    assert registry.get_sample_value("voxline_gateway_audio_seconds_total") == 0.75
    for name in ("time_to_first_audio_seconds", "real_time_factor_ratio", "underrun_seconds"):
        assert registry.get_sample_value(f"voxline_gateway_{name}_count") == 1


async def test_silence_has_no_first_sound():
    registry = CollectorRegistry()

    async def source():
        yield sound(0.25, level=0.0)

    await collected(measured(source(), Playback(time.monotonic()), GatewayMetrics(registry)))
    assert registry.get_sample_value("voxline_gateway_time_to_first_audio_seconds_count") == 0


def test_lead_is_what_is_left_to_play_or_of_the_patience_before_it():
    playback = Playback(started_at=10.0)
    assert playback.lead(11.0, patience=2.0) == math.inf
    playback.asked(10.0)
    assert playback.lead(11.5, patience=2.0) == 0.5
    playback.received(sound(1.0), 12.0)
    assert playback.lead(12.0, patience=2.0) == math.inf
    playback.asked(12.25)
    assert playback.lead(12.5, patience=2.0) == 0.5
    assert playback.lead(14.0, patience=2.0) == -1.0
