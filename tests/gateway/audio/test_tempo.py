import numpy as np
import pytest

from services.gateway.audio.tempo import Tempo

SPEEDS = [0.25, 0.4, 0.5, 0.75, 0.95, 1.1, 1.5, 2.0, 2.7, 4.0]


def stretched(samples, sample_rate, speed):
    tempo = Tempo(sample_rate, speed)
    return np.concatenate([tempo.stretch(samples), tempo.flush()])


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("sample_rate", [16000, 24000])
def test_any_chunking_gives_the_same_sound(sample_rate, speed, speech, chunks):
    samples = speech(sample_rate, 1.0)
    whole = stretched(samples, sample_rate, speed)
    for seed in range(3):
        tempo = Tempo(sample_rate, speed)
        parts = [*map(tempo.stretch, chunks(samples, seed)), tempo.flush()]
        assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("length", [0, 1, 17, 800, 16000, 33333])
def test_the_length_is_the_source_over_the_speed(length, speed, speech):
    assert len(stretched(speech(16000, 3.0)[:length], 16000, speed)) == round(length / speed)


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("sample_rate", [8000, 16000, 24000, 44100])
def test_the_pitch_stays(sample_rate, speed):
    time = np.arange(2 * sample_rate) / sample_rate
    tone = np.sum([np.sin(2 * np.pi * 200 * k * time) / k for k in range(1, 10)], axis=0).astype(np.float32) * 0.2
    result = stretched(tone, sample_rate, speed)
    middle = result[len(result) // 4 : 3 * len(result) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 18))
    hertz = np.fft.rfftfreq(1 << 18, 1 / sample_rate)
    spectrum[hertz > 350] = 0
    assert hertz[spectrum.argmax()] == pytest.approx(200, rel=0.01)
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(np.sqrt(np.mean(tone**2)), rel=0.05)


@pytest.mark.parametrize("speed", SPEEDS)
def test_what_is_said_late_is_heard_late(speed, speech):
    """A sound from 1.0 s to 1.5 s of 2 s lands at those times over the speed, within the window of 32 ms, stretched."""
    samples = np.zeros(32000, np.float32)
    samples[16000:24000] = np.sin(2 * np.pi * 150 * np.arange(8000) / 16000) * 0.5
    loud = np.flatnonzero(np.abs(stretched(samples, 16000, speed)) > 0.1) / 16000
    tolerance = 0.032 / min(speed, 1.0)
    assert loud[0] == pytest.approx(1.0 / speed, abs=tolerance)
    assert loud[-1] == pytest.approx(1.5 / speed, abs=tolerance)


def test_the_end_is_not_lost():
    """At its end of file atempo alone drops up to 0.1 s."""
    tone = np.sin(2 * np.pi * 200 * np.arange(8000) / 16000).astype(np.float32)
    for speed in SPEEDS:
        loud = np.flatnonzero(np.abs(stretched(tone, 16000, speed)) > 0.1)
        assert loud[-1] / 16000 > 0.5 / speed - 0.064


def test_sound_leaves_early(speech):
    tempo = Tempo(16000, 1.25)
    assert len(tempo.stretch(speech(16000, 1.0)[:1600])) > 320


def test_speed_one_passes_the_chunk_itself(speech):
    samples = speech(16000, 0.1)
    tempo = Tempo(16000, 1.0)
    assert tempo.stretch(samples) is samples
    assert len(tempo.flush()) == 0


@pytest.mark.parametrize("speed", [0.2, 4.1, float("nan")])
def test_other_speeds_are_an_error(speed):
    with pytest.raises(ValueError, match="speed"):
        Tempo(16000, speed)


@pytest.mark.parametrize("speed", [1.0, 1.5])
def test_the_flush_ends_it(speed, speech):
    tempo = Tempo(16000, speed)
    tempo.stretch(speech(16000, 0.1))
    tempo.flush()
    assert len(tempo.flush()) == 0
    with pytest.raises(ValueError, match="flushed"):
        tempo.stretch(speech(16000, 0.1))
