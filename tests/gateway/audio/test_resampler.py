import numpy as np
import pytest
import soxr

from services.gateway.audio.resampler import Resampler

RATES = [(16000, 24000), (16000, 48000), (24000, 8000), (16000, 22050)]


@pytest.mark.parametrize("rates", RATES)
def test_any_chunking_equals_the_whole(rates, speech, chunks):
    samples = speech(rates[0], 1.0)
    whole = soxr.resample(samples, *rates, quality="HQ")
    for seed in range(5):
        resampler = Resampler(*rates)
        parts = [*map(resampler.resample, chunks(samples, seed)), resampler.flush()]
        assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("rates", RATES)
def test_a_tone_stays_the_tone(rates):
    source, target = rates
    resampler = Resampler(source, target)
    tone = np.sin(2 * np.pi * 440 * np.arange(source) / source).astype(np.float32)
    result = np.concatenate([resampler.resample(tone), resampler.flush()])
    assert len(result) == target
    expected = np.sin(2 * np.pi * 440 * np.arange(target) / target)
    middle = slice(target // 4, 3 * target // 4)
    assert np.abs(result - expected)[middle].max() < 1e-4


def test_little_is_withheld(speech):
    resampler = Resampler(16000, 24000)
    given = 0
    for index, chunk in enumerate(np.split(speech(16000, 1.0), 100), start=1):
        given += len(resampler.resample(chunk))
        assert given >= (index * 160 - 640) * 1.5


def test_equal_rates_pass_the_chunk_itself(speech):
    samples = speech(24000, 0.1)
    assert Resampler(24000, 24000).resample(samples) is samples


@pytest.mark.parametrize("rates", [(16000, 24000), (24000, 24000)])
def test_the_flush_ends_it(rates):
    resampler = Resampler(*rates)
    assert len(resampler.flush()) == 0
    assert len(resampler.flush()) == 0
    with pytest.raises(ValueError, match="flushed"):
        resampler.resample(np.zeros(3, np.float32))
