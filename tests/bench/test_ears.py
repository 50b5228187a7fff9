"""The clips are espeak-ng 1.51, en-us and en-us+f2, resampled to 16 kHz: sentences of dev.txt."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.speech.ears import LOUDNESS, SAMPLE_RATE, ClosedSet, Samples, in_a_room
from bench.speech.sentences import DEVELOPMENT, UNSEEN, read_sentences
from services.cli.failure import Failure

SAID = {
    "table.flac": "put the dishes away and wipe the table",
    "birds.flac": "birds were singing in the tree outside my room",
}


@pytest.fixture(scope="module")
def closed_set() -> ClosedSet:
    return ClosedSet(read_sentences(DEVELOPMENT))


def clip(name: str) -> Samples:
    samples, sample_rate = soundfile.read(Path(__file__).parent / name, dtype="float32")
    assert sample_rate == SAMPLE_RATE
    return np.asarray(samples)


@pytest.mark.parametrize("name", SAID)
def test_what_the_teacher_says_is_picked_right(closed_set: ClosedSet, name: str) -> None:
    assert closed_set.hear(clip(name)) == SAID[name]


def test_half_a_sentence_is_picked_as_nothing(closed_set: ClosedSet) -> None:
    samples = clip("birds.flac")
    assert closed_set.hear(samples[: len(samples) // 2]) == ""


def test_noise_is_picked_as_nothing(closed_set: ClosedSet) -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, 2 * SAMPLE_RATE).astype(np.float32)
    assert closed_set.hear(noise) == ""


def test_silence_is_picked_as_nothing(closed_set: ClosedSet) -> None:
    assert closed_set.hear(np.zeros(SAMPLE_RATE, np.float32)) == ""


def test_quiet_speech_is_heard_as_loud_as_any() -> None:
    samples = clip("table.flac")
    np.testing.assert_allclose(in_a_room(samples * np.float32(0.01)), in_a_room(samples), atol=1e-5)
    assert np.sqrt(np.mean(np.square(in_a_room(samples)[4000:-4000]))) == pytest.approx(LOUDNESS, rel=0.01)


def test_word_outside_the_dictionary_is_named() -> None:
    with pytest.raises(Failure, match="zzyzxq"):
        ClosedSet(["say zzyzxq again"])


def test_ears_were_not_tuned_on_the_unseen_sentences() -> None:
    assert not set(read_sentences(DEVELOPMENT)) & set(read_sentences(UNSEEN))
