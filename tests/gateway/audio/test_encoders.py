"""What every format keeps to."""

import gc
from collections.abc import Iterator

import numpy as np
import pytest

from services.gateway.audio.encoders import ENCODERS, Encoder
from services.runtime.errors import InvalidRequest

# Signal to noise in dB, and the most samples at 24 kHz that the file may be longer than the sound.
SNR = {"mp3": 45.0, "opus": 15.0, "aac": 25.0, "flac": 75.0, "wav": 75.0, "pcm": 75.0}
SURPLUS = {"mp3": 1105 + 2 * 576, "opus": 0, "aac": 1024 + 1024, "flac": 0, "wav": 0, "pcm": 0}
SNR |= {"ogg": 15.0, "webm": 15.0, "m4a": 25.0}
SURPLUS |= {"ogg": 0, "webm": 960, "m4a": 1024}
OPUS = ("opus", "ogg", "webm")


def fold(encoder: Encoder, chunks: Iterator[np.ndarray], whole: bool = False) -> bytes:
    data = b"".join([*(encoder.encode(chunk) for chunk in chunks), encoder.flush()])
    return encoder.head(len(data)) + data if whole else data


@pytest.fixture(params=ENCODERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("whole", [False, True])
def test_every_format_gives_back_the_sound(name, whole, speech, chunks, decode, quality):
    source = speech(16000, 2.0)
    decoded = decode(fold(ENCODERS[name](16000, 24000, whole=whole), chunks(source, 1), whole), name)
    delay, snr = quality(source, 16000, decoded)
    assert decoded.sample_rate == (48000 if name in OPUS else 24000)
    assert snr > SNR[name]
    assert delay <= SURPLUS[name]
    assert 0 <= len(decoded.samples) - 2 * decoded.sample_rate <= SURPLUS[name]


@pytest.mark.parametrize("target", [8000, 16000, 22050, 24000, 44100, 48000])
def test_every_format_has_the_usual_rates(name, target, speech, chunks, decode):
    if name == "pcm":
        assert len(fold(ENCODERS[name](16000, target), chunks(speech(16000, 0.5), 1))) == 2 * target // 2
        return
    decoded = decode(fold(ENCODERS[name](16000, target), chunks(speech(16000, 0.5), 1)), name)
    assert decoded.sample_rate == (48000 if name in OPUS else target)
    assert 0 <= len(decoded.samples) - decoded.sample_rate // 2 <= SURPLUS[name] * (2 if target > 24000 else 1)


@pytest.mark.parametrize("whole", [False, True])
def test_any_chunking_gives_the_same_reply(name, whole, speech, chunks):
    source = speech(16000, 1.0)
    once = fold(ENCODERS[name](16000, 24000, whole=whole), iter([source]), whole)
    for seed in range(3):
        assert fold(ENCODERS[name](16000, 24000, whole=whole), chunks(source, seed), whole) == once


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("pieces", [[], [np.zeros(0, np.float32)], [np.zeros(1, np.float32)]])
def test_a_reply_of_next_to_nothing_is_a_valid_file(name, whole, pieces, decode):
    data = fold(ENCODERS[name](16000, 24000, whole=whole), iter(pieces), whole)
    decoded = decode(data, name)
    assert len(decoded.samples) <= 2 + max(SURPLUS[name], 2)
    assert np.abs(decoded.samples).max(initial=0.0) < 1e-3


def test_sound_leaves_while_the_reply_is_made(name, speech, decode):
    """Never more than 0.25 s behind, the rate change included."""
    encoder = ENCODERS[name](16000, 24000)
    sent = b""
    for index, chunk in enumerate(np.split(speech(16000, 2.0), 20), start=1):
        sent += encoder.encode(chunk)
        if index >= 3:
            decoded = decode(sent, name)
            assert len(decoded.samples) / decoded.sample_rate > index / 10 - 0.25


def test_a_second_flush_gives_nothing(name, speech):
    encoder = ENCODERS[name](16000, 24000)
    encoder.encode(speech(16000, 0.3))
    assert encoder.flush()
    assert encoder.flush() == b""


@pytest.mark.parametrize("rates", [(16000, 24000), (24000, 24000)])
def test_encoding_after_the_flush_is_an_error(name, rates, speech):
    encoder = ENCODERS[name](*rates)
    encoder.flush()
    with pytest.raises(ValueError, match="flushed"):
        encoder.encode(speech(16000, 0.1))


def test_an_abandoned_reply_leaves_nothing_behind(name, speech):
    """Warnings of the finaliser would fail the test."""
    for whole in (False, True):
        encoder = ENCODERS[name](16000, 24000, whole=whole)
        encoder.encode(speech(16000, 0.3))
        del encoder
        gc.collect()


def test_loud_samples_are_clipped_not_wrapped(name, decode):
    square = np.repeat(np.tile(np.array([1.8, -1.8], np.float32), 50), 240)
    decoded = decode(fold(ENCODERS[name](24000, 24000), iter([square])), name)
    assert np.abs(decoded.samples).max() < 1.6
    correlation = np.abs(np.fft.rfft(decoded.samples)).argmax() * decoded.sample_rate / len(decoded.samples)
    assert correlation == pytest.approx(50, abs=2)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("mp3", "audio/mpeg"),
        ("opus", "audio/opus"),
        ("aac", "audio/aac"),
        ("flac", "audio/flac"),
        ("wav", "audio/wav"),
        ("pcm", "audio/pcm"),
        ("ogg", "audio/ogg"),
        ("webm", "audio/webm"),
        ("m4a", "audio/mp4"),
    ],
)
def test_media_types_are_those_of_openai_and_the_registered_ones(name, media_type):
    assert ENCODERS[name].media_type == media_type


@pytest.mark.parametrize("name", ["mp3", "aac", "m4a"])
def test_a_rate_that_the_format_has_not_is_refused(name):
    with pytest.raises(InvalidRequest, match="24000") as refusal:
        ENCODERS[name](16000, 23456)
    assert refusal.value.field == "sample_rate"


@pytest.mark.parametrize("name", ["wav", "flac", *OPUS])
def test_odd_rates_are_taken_where_the_format_has_them(name, speech, chunks, decode):
    decoded = decode(fold(ENCODERS[name](16000, 23456), chunks(speech(16000, 0.5), 0)), name)
    assert len(decoded.samples) / decoded.sample_rate == pytest.approx(0.5, abs=1e-3)
