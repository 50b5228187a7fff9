"""Speech in files of all kinds gives the speaker that it gives alone, or is refused in plain words.

The speaker's tokens are those of the bundled voice. Where what is heard is the clean recording, sample for sample, they
are equal. Where it is not (a lossy file, a noise cut off, an offset taken away) they are compared as the decoder hears
them, by the cosine of its vectors, with those of the clean recording in a file of the same kind. 50 ms of silence
before the clean recording come to .993, another sentence of its speaker to .93, the two speakers of the test to .44.
"""

from functools import cache
from itertools import cycle, islice, product
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch
from numpy.typing import NDArray

from services.codec.audio.cleaning import cleaned
from services.codec.audio.decode import decode
from services.codec.audio.flac import storable
from services.codec.audio.reference import ReferenceLimits, load_reference
from services.codec.audio.volume import normalise_volume
from services.codec.families.spark.layers.speaker import SpeakerDecoder
from services.codec.families.spark.tokenizer import SparkTokenizer
from services.codec.families.spark.weights import Weights
from services.runtime.errors import InvalidRequest

from .faults import CHANNELS, DAMAGE, NEARLY, SILENCE, SILENT, Fault, encoded

ROOT = Path(__file__).parents[3]
VOICE = ROOT / "models" / "voxline-small"
HEARD = Path(__file__).parent / "heard"
LIMITS = ReferenceLimits()
Samples = NDArray[np.float64]

LOSSLESS = [
    ("wav", "pcm_s16le"),
    ("wav", "pcm_s24le"),
    ("wav", "pcm_f32le"),
    ("wav", "pcm_u8"),
    ("aiff", "pcm_s16be"),
    ("caf", "pcm_s16le"),
    ("flac", "flac"),
    ("ogg", "flac"),
    ("matroska", "pcm_s16le"),
    ("mov", "pcm_s16le"),
    ("ipod", "alac"),
]
LOSSY = [
    ("mp3", "libmp3lame"),
    ("adts", "aac"),
    ("ipod", "aac"),
    ("ogg", "libopus"),
    ("webm", "libopus"),
    ("matroska", "aac"),
    ("wav", "pcm_mulaw"),
]
ALIKE = 0.95
RATES = [8_000, 16_000, 44_100]


class Ear:
    """Whom the bundled voice's tokenizer hears."""

    def __init__(self) -> None:
        self.tokenizer = SparkTokenizer.load(VOICE)
        weights = Weights.read(VOICE / "BiCodec", ["speaker_encoder."])
        config = self.tokenizer.config.codec.speaker_encoder
        self.decoder = weights.load(lambda: SpeakerDecoder(config), "speaker_encoder")

    def tokens(self, clip: Samples) -> tuple[int, ...]:
        with torch.inference_mode():
            clips = self.tokenizer.reference_clips([normalise_volume(clip)])
            return tuple(self.tokenizer.speaker(clips)[0].tolist())

    def likeness(self, one: Samples, two: Samples) -> float:
        with torch.inference_mode():
            vectors = self.decoder(torch.tensor([self.tokens(one), self.tokens(two)]))
        return float(torch.nn.functional.cosine_similarity(vectors[0], vectors[1], dim=0))


@pytest.fixture(scope="module")
def ear() -> Ear:
    return Ear()


def speech(name: str, rate: int) -> Samples:
    """From its first sample that is none but zero in eight bits to its last."""
    samples, own = soundfile.read(ROOT / "tests" / "bench" / f"{name}.flac")
    if rate != own:
        samples = soxr.resample(samples, own, rate)
    sounding = np.flatnonzero(np.abs(samples) > 0.02)
    return samples[sounding[0] : sounding[-1] + 1]


def heard(data: bytes) -> Samples:
    return load_reference(data, 16_000, LIMITS).clip.samples


def cases(formats: list[tuple[str, str]], faults: dict[str, Fault], each: int) -> list[object]:
    """Every format at every rate with `each` of the faults, in turn, so that each meets each."""
    turn = cycle(faults)
    return [
        pytest.param(container, codec, rate, faults[name], id=f"{container}-{codec}-{rate}-{name}")
        for (container, codec), rate in product(formats, RATES)
        for name in islice(turn, each)
        if not (codec == "libopus" and rate == 44_100) and not (codec == "libmp3lame" and "six" in name)
    ]


@cache
def alone(name: str, rate: int, container: str, codec: str) -> Samples:
    """What is heard of the clean recording in a file of the kind."""
    return heard(encoded(speech(name, rate)[None], rate, container, codec))


@pytest.mark.parametrize(("container", "codec", "rate", "fault"), cases(LOSSLESS, CHANNELS | SILENCE, 5))
def test_the_clean_recording_is_heard(ear: Ear, container: str, codec: str, rate: int, fault: Fault) -> None:
    expected = alone("table", rate, container, codec)
    found = heard(encoded(fault(speech("table", rate), rate), rate, container, codec))
    assert ear.tokens(found) == ear.tokens(expected)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("container", "codec", "rate", "fault"), cases(LOSSLESS[:2] + LOSSLESS[6:7], NEARLY, 7))
@pytest.mark.parametrize("name", ["table", "birds"])
def test_nearly_the_clean_recording_is_heard(
    ear: Ear, name: str, container: str, codec: str, rate: int, fault: Fault
) -> None:
    found = heard(encoded(fault(speech(name, rate), rate), rate, container, codec))
    assert ear.likeness(alone(name, rate, container, codec), found) > ALIKE


@pytest.mark.parametrize(("container", "codec", "rate", "fault"), cases(LOSSY, CHANNELS | SILENCE | NEARLY, 6))
def test_lossy_files_give_the_speaker(ear: Ear, container: str, codec: str, rate: int, fault: Fault) -> None:
    found = heard(encoded(fault(speech("table", rate), rate), rate, container, codec))
    assert ear.likeness(alone("table", rate, container, codec), found) > ALIKE


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize(("container", "codec"), [each for each in LOSSY if each[0] != "ipod"])
def test_damaged_packets_of_lossy_files_are_left_out(ear: Ear, container: str, codec: str, damage: str) -> None:
    clean = speech("table", 16_000)
    data = encoded(clean[None], 16_000, container, codec)
    found = heard(DAMAGE[damage](data))
    assert len(found) > 0.5 * len(clean)
    assert ear.likeness(found, heard(data)) > ALIKE


@pytest.mark.parametrize(("container", "codec", "rate", "fault"), cases(LOSSLESS[:4] + LOSSY[:4], SILENT, 4))
def test_what_does_not_change_is_silence(container: str, codec: str, rate: int, fault: Fault) -> None:
    with pytest.raises(InvalidRequest, match="silent") as caught:
        heard(encoded(fault(speech("table", rate), rate), rate, container, codec))
    assert caught.value.field == "audio"


@pytest.mark.parametrize(
    ("name", "clean", "start"),
    [
        ("lead3", "clean", 3.2),
        ("lead3_noise", "clean", 3.18),
        ("left_only", "mono", 0),
        ("right_only", "mono", 0),
        ("right_hiss_left", "mono", 0),
        ("center_of_six", "mono", 0),
    ],
)
def test_recordings_of_callers_give_the_speaker(ear: Ear, name: str, clean: str, start: float) -> None:
    found = load_reference((HEARD / f"{name}.flac").read_bytes(), 16_000, LIMITS)
    assert ear.tokens(found.clip.samples) == ear.tokens(heard((HEARD / f"{clean}.flac").read_bytes()))
    assert found.start == pytest.approx(start, abs=0.01)


def with_pause(before: str, pause: float, after: str) -> bytes:
    joined = [speech(before, 16_000), np.zeros(int(16_000 * pause)), speech(after, 16_000), speech(after, 16_000)]
    return encoded(np.concatenate(joined)[None], 16_000, "flac", "flac")


@pytest.mark.parametrize(
    ("file", "first", "last"),
    [
        ((HEARD / "long.ogg").read_bytes(), 0, 21.2),
        (with_pause("table", 6, "birds"), 7.9, 13.7),
        (with_pause("birds", 20, "table"), 22, 27),
        (with_pause("birds", 9, "table"), 11, 16),
    ],
    ids=["caller", "pause", "long-pause", "other-pause"],
)
def test_of_a_long_recording_the_part_with_the_most_speech_is_heard(file: bytes, first: float, last: float) -> None:
    part = load_reference(file, 16_000, LIMITS, keep=True, longest=4.0)
    assert 3.5 < part.clip.seconds <= 4
    assert first <= part.start < part.start + part.clip.seconds <= last
    again = load_reference(part.flac, 16_000, LIMITS, longest=4.0)
    np.testing.assert_array_equal(again.clip.samples, part.clip.samples)


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("between", [b"", b"TAG" + bytes(125), b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)])
@pytest.mark.parametrize("count", [2, 3])
def test_joined_mp3s_are_read_whole(rate: int, between: bytes, count: int) -> None:
    data = encoded(speech("table", rate)[None], rate, "mp3", "libmp3lame")
    one, all_ = decode(data, 60).seconds, decode(between.join([data] * count), 60).seconds
    assert count * one <= all_ < count * (one + 0.12)


def test_joined_files_may_differ_in_their_channels() -> None:
    clean = speech("table", 16_000)
    one, two = (encoded(channels, 16_000, "mp3", "libmp3lame") for channels in (clean[None], np.stack([clean, clean])))
    assert decode(one + two, 60).seconds > decode(two, 60).seconds


@pytest.mark.parametrize("fault", CHANNELS | SILENCE | NEARLY)
def test_what_is_kept_is_heard_again(fault: str) -> None:
    clean = speech("birds", 16_000)
    channels = (CHANNELS | SILENCE | NEARLY)[fault](clean, 16_000)
    first = load_reference(encoded(channels, 16_000, "wav", "pcm_s16le"), 16_000, LIMITS, keep=True)
    again = load_reference(first.flac, 16_000, LIMITS, keep=True)
    np.testing.assert_array_equal(again.clip.samples, first.clip.samples)
    assert (again.flac, again.start) == (first.flac, 0)


@pytest.mark.parametrize("data", [bytes(4000), b"\xff\xfb\x90\x64" + bytes(4000), b"ID3" + bytes(300), b"OggS" * 500])
def test_mostly_damaged_files_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest, match="damaged") as caught:
        heard(data)
    assert caught.value.field == "audio"


FAULTLESS = [*(ROOT / "docs" / "listen").glob("*.mp3"), *(ROOT / "tests" / "parity" / "spark-tiny").glob("input*")]


@pytest.mark.parametrize("file", FAULTLESS, ids=lambda file: file.stem)
def test_a_recording_without_faults_is_left_as_it_is(file: Path) -> None:
    recording = storable(decode(file.read_bytes(), 60))
    assert cleaned(recording).recording is recording
