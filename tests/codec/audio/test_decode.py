import io
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from services.codec.audio.decode import Recording, decode
from services.runtime.errors import InvalidRequest, TooLarge

Samples = NDArray[np.float64]
Encode = Callable[[Samples, int, str, str], bytes]
NOISE = np.random.default_rng(3).uniform(-1, 1, (20_000, 2))


def written(samples: Samples, sample_rate: int, container: str, subtype: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, format=container, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize(
    ("container", "subtype"),
    [("WAV", s) for s in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW")]
    + [("FLAC", s) for s in ("PCM_S8", "PCM_16", "PCM_24")],
)
def test_lossless_files_give_the_left_channel_as_soundfile_reads_it(container: str, subtype: str) -> None:
    data = written(NOISE, 22_050, container, subtype)
    expected, _ = soundfile.read(io.BytesIO(data))
    recording = decode(data, 60)
    assert recording.sample_rate == 22_050
    np.testing.assert_array_equal(recording.samples, expected[:, 0])


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("wav", "pcm_s16le"),
        ("flac", "flac"),
        ("mp3", "libmp3lame"),
        ("mp4", "aac"),
        ("adts", "aac"),
        ("ogg", "libopus"),
        ("webm", "libopus"),
    ],
)
def test_every_container_keeps_the_duration(container: str, codec: str, encode: Encode, tone: Samples) -> None:
    recording = decode(encode(tone, 48_000, container, codec), 60)
    assert recording.sample_rate == 48_000
    assert recording.seconds == pytest.approx(2, abs=0.06)
    middle = recording.samples[24_000:72_000]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.06)


def test_vorbis_keeps_the_duration() -> None:
    assert decode(written(NOISE, 22_050, "OGG", "VORBIS"), 60).seconds == len(NOISE) / 22_050


def test_sound_is_found_beside_a_picture(tone: Samples) -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        picture = output.add_stream("mjpeg", rate=1, width=64, height=64, pix_fmt="yuvj420p")
        sound = output.add_stream("pcm_s16le", rate=48_000, layout="mono")
        output.mux(picture.encode(av.VideoFrame(64, 64, "yuvj420p")))
        frame = av.AudioFrame.from_ndarray((tone * 32767).astype(np.int16)[None], "s16", "mono")
        frame.sample_rate = 48_000
        output.mux(sound.encode(frame))
        output.mux([*picture.encode(None), *sound.encode(None)])
    assert decode(file.getvalue(), 60).seconds == 2


def test_a_film_without_sound_is_invalid() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        picture = output.add_stream("mjpeg", rate=1, width=64, height=64, pix_fmt="yuvj420p")
        output.mux([*picture.encode(av.VideoFrame(64, 64, "yuvj420p")), *picture.encode(None)])
    with pytest.raises(InvalidRequest, match="holds no audio"):
        decode(file.getvalue(), 60)


@pytest.mark.parametrize("data", [b"", b"RIFF", b"hello, world" * 100, bytes(5000)])
def test_bytes_that_are_no_audio_are_invalid(data: bytes) -> None:
    with pytest.raises(InvalidRequest, match="no known format") as caught:
        decode(data, 60)
    assert caught.value.field == "audio"


def test_a_damaged_file_is_invalid_rather_than_shortened() -> None:
    data = bytearray(written(NOISE, 22_050, "FLAC", "PCM_16"))
    data[20_000:20_100] = bytes(100)
    with pytest.raises(InvalidRequest, match="damaged"):
        decode(bytes(data), 60)


def test_a_file_that_ends_after_its_header_is_invalid() -> None:
    with pytest.raises(InvalidRequest, match="empty"):
        decode(written(NOISE, 22_050, "WAV", "PCM_16")[:44], 60)


def test_a_playlist_opens_no_other_file(tmp_path: Path, encode: Encode, tone: Samples) -> None:
    (tmp_path / "secret.aac").write_bytes(encode(tone, 48_000, "adts", "aac"))
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{tmp_path}/secret.aac\n#EXT-X-ENDLIST\n"
    with pytest.raises(InvalidRequest):
        decode(playlist.encode(), 60)


@pytest.mark.parametrize("sample_rate", [1_000, 384_000])
def test_odd_sample_rates_are_invalid(sample_rate: int) -> None:
    with pytest.raises(InvalidRequest, match=f"{sample_rate} Hz is outside 8000 to 192000 Hz"):
        decode(written(NOISE, sample_rate, "WAV", "PCM_16"), 60)


def test_decoding_stops_at_the_limit() -> None:
    """An hour of silence is a few kilobytes of FLAC; the damage behind the limit is never reached."""
    bomb = bytearray(written(np.zeros(16_000 * 3600), 16_000, "FLAC", "PCM_16"))
    assert len(bomb) < 500_000
    half = len(bomb) // 2
    bomb[half : half + 1000] = bytes(1000)
    with pytest.raises(InvalidRequest, match="damaged"):
        decode(bytes(bomb), 3600)
    with pytest.raises(TooLarge, match="longer than 60 s") as caught:
        decode(bytes(bomb), 60)
    assert caught.value.field == "audio"


def test_a_recording_is_float64_mono_with_a_rate() -> None:
    with pytest.raises(ValueError, match="float64"):
        Recording(np.zeros(3, np.float32), 16_000)
    with pytest.raises(ValueError, match="rate"):
        Recording(np.zeros(3), 0)
