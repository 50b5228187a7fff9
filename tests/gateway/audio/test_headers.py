"""What the containers say of themselves: streamed, no length that they do not know; whole, the true one."""

import io
import struct
import wave

import numpy as np
import pytest
import soundfile

from services.gateway.audio.encoders import ENCODERS

UNKNOWN = 0xFFFFFFFF


def encoded(name, samples, whole):
    encoder = ENCODERS[name](16000, 24000, whole=whole)
    data = b"".join([*(encoder.encode(part) for part in np.array_split(samples, 7)), encoder.flush()])
    return encoder.head(len(data)) + data if whole else data


def test_a_streamed_wav_starts_with_its_header_and_unknown_sizes(speech):
    first = ENCODERS["wav"](16000, 24000).encode(speech(16000, 0.2))
    assert first[:4] + first[8:12] == b"RIFFWAVE"
    assert len(first) > 44
    assert struct.unpack_from("<I", first, 4) == struct.unpack_from("<I", first, 40) == (UNKNOWN,)


def test_a_wav_header_is_sent_even_before_the_first_sample():
    assert len(ENCODERS["wav"](16000, 24000).encode(np.zeros(0, np.float32))) == 44


def test_a_whole_wav_states_its_sizes(speech):
    data = encoded("wav", speech(16000, 0.5), whole=True)
    assert struct.unpack_from("<I", data, 4) == (len(data) - 8,)
    assert struct.unpack_from("<I", data, 40) == (len(data) - 44,)
    with wave.open(io.BytesIO(data)) as file:
        assert file.getparams()[:4] == (1, 2, 24000, 12000)


@pytest.mark.parametrize("whole", [False, True])
def test_wav_is_read_by_the_standard_library_and_libsndfile(whole, speech):
    data = encoded("wav", speech(16000, 0.5), whole)
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 24000)
        frames = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    samples, rate = soundfile.read(io.BytesIO(data), dtype="int16")
    assert rate == 24000
    assert np.array_equal(samples, frames)
    assert len(frames) == 12000


def stream_info(data):
    """FLAC's STREAMINFO (RFC 9639, 8.2): sample rate, number of samples, MD5."""
    assert data[:4] == b"fLaC"
    packed = int.from_bytes(data[8 + 10 : 8 + 18], "big")
    return packed >> 44, packed & (1 << 36) - 1, data[8 + 18 : 8 + 34]


def test_a_streamed_flac_states_no_length(speech, decode):
    data = encoded("flac", speech(16000, 0.5), whole=False)
    assert stream_info(data) == (24000, 0, bytes(16))
    assert len(data) < 12000, "no padding block ahead of the sound"
    assert len(decode(data, "flac").samples) == 12000


def test_a_whole_flac_states_its_length_and_checksum(speech):
    data = encoded("flac", speech(16000, 0.5), whole=True)
    rate, samples, checksum = stream_info(data)
    assert (rate, samples) == (24000, 12000)
    assert checksum != bytes(16)
    assert len(soundfile.read(io.BytesIO(data))[0]) == 12000


def test_opus_states_the_exact_duration_and_no_delay(speech, decode, quality):
    source = speech(16000, 0.777)
    decoded = decode(encoded("opus", source, whole=False), "opus")
    assert len(decoded.samples) == round(0.777 * 48000)
    assert quality(source, 16000, decoded)[0] == 0


@pytest.mark.parametrize("name", ["mp3", "aac"])
def test_joined_replies_decode_to_both(name, speech, decode, quality):
    """LibreChat joins the mp3 bodies of long texts."""
    sounds = [speech(16000, 1.0), speech(16000, 0.7)[::-1].copy()]
    replies = [encoded(name, sound, whole=False) for sound in sounds]
    first, second = (decode(reply, name) for reply in replies)
    both = decode(b"".join(replies), name)
    assert len(both.samples) == len(first.samples) + len(second.samples)
    tail = type(both)(both.samples[len(first.samples) :], both.sample_rate)
    assert quality(sounds[1], 16000, tail)[1] > 20


def test_mp3_is_frames_from_the_first_byte_to_the_last(speech):
    """MPEG-2 layer III at 24 kHz: 128000 / 8 * 576 / 24000 = 384 bytes each."""
    data = encoded("mp3", speech(16000, 1.0), whole=True)
    assert len(data) % 384 == 0
    assert all(data[start : start + 2] == b"\xff\xf3" for start in range(0, len(data), 384))
    assert b"Xing" not in data
    assert b"Info" not in data
