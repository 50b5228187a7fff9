"""The teacher's speech, and what is known of it."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from training.corpus.corpus import Corpus
from training.corpus.espeak import Espeak
from training.corpus.phones import INDEX, SILENCE, UnknownPhone, phone_index
from training.corpus.render import LEAD, TAIL, tilted
from training.corpus.speakers import F0_EDGES, LEVELS, MODERATE, WORDS_PER_MINUTE, Cast, Voice
from training.corpus.utterance import SAMPLE_RATE, Utterance
from training.evaluate.sound import median_f0
from training.options import Options

TEXT = "Every summer my uncle sails around the long island alone."


@pytest.fixture(scope="module")
def cast() -> Cast:
    return Cast.draw(4, 2)


@pytest.fixture(scope="module")
def espeak() -> Espeak:
    return Espeak()


def test_training_and_held_out_share_neither_speaker_nor_sentence(options: Options, corpus: Corpus) -> None:
    held_out = Corpus(options.data / "held_out", torch.device("cpu"))
    speakers, texts = (
        [{getattr(each, name) for each in part.utterances} for part in (corpus, held_out)] for name in ("voice", "text")
    )
    assert not {voice[:-1] for voice in speakers[0]} & {voice[:-1] for voice in speakers[1]}
    assert not texts[0] & texts[1]


def test_every_sentence_is_said_by_two_speakers(corpus: Corpus) -> None:
    for group in corpus.by_group.values():
        first, second = (corpus.utterances[index] for index in group)
        assert first.text == second.text
        assert first.speed == second.speed
        assert first.voice[:-1] != second.voice[:-1]


def test_times_rise_from_the_first_sound_to_the_silence_at_the_end(corpus: Corpus) -> None:
    for index, utterance in enumerate(corpus.utterances):
        times = utterance.phones[:, 1]
        assert (np.diff(times) >= 0).all()
        assert utterance.phones[-1, 0] == INDEX[SILENCE]
        samples = corpus.samples(index)
        assert not samples[:LEAD].any()
        assert not samples[-TAIL:].any()
        assert samples[times[0] : times[-1]].abs().max() > 0.2
        assert times[-1] <= utterance.samples - TAIL


def test_words_are_where_they_stand_in_the_text(corpus: Corpus) -> None:
    utterance = next(each for each in corpus.utterances if each.text.startswith("the captain"))
    said = [utterance.text[start : start + length] for start, length, _ in utterance.words]
    assert said == ["the", "captain", "of the", "ship", "smiled"]


def test_an_utterance_survives_its_file(corpus: Corpus) -> None:
    for utterance in corpus.utterances:
        again = Utterance.from_json(utterance.to_json(), utterance.shard)
        assert np.array_equal(again.phones, utterance.phones)
        assert np.array_equal(again.words, utterance.words)
        assert {**vars(again), "phones": 0, "words": 0} == {**vars(utterance), "phones": 0, "words": 0}


def test_crops_are_silent_beyond_the_ends(corpus: Corpus) -> None:
    whole = corpus.samples(0)
    crop = corpus.crops([(0, -100), (0, len(whole) - 50)], 200)
    assert not crop[0, :100].any()
    assert torch.equal(crop[0, 100:], whole[:100])
    assert torch.equal(crop[1, :50], whole[-50:])
    assert not crop[1, 50:].any()


def test_another_run_makes_nothing_anew(options: Options) -> None:
    from training.corpus.__main__ import main

    files = {file: file.stat().st_mtime_ns for file in (options.data / "train").iterdir()}
    assert main(options)
    assert {file: file.stat().st_mtime_ns for file in (options.data / "train").iterdir()} == files


@pytest.mark.parametrize("level", range(LEVELS))
@pytest.mark.parametrize("place", range(4))
def test_pitch_is_that_of_the_label(espeak: Espeak, cast: Cast, level: int, place: int) -> None:
    speaker = (*cast.teachers, *cast.pupils)[place]
    spoken = espeak.say(TEXT, Voice(speaker, level).variant, 175)
    low, high = F0_EDGES[speaker.gender][level : level + 2]
    samples = np.interp(
        np.arange(0, len(spoken.samples), espeak.sample_rate / SAMPLE_RATE),
        np.arange(len(spoken.samples)),
        spoken.samples / 32768,
    )
    assert low * 0.95 < median_f0(samples.astype(np.float32)) < high * 1.05


def test_speed_is_that_of_the_label(espeak: Espeak, cast: Cast) -> None:
    voice = Voice(cast.teachers[0], MODERATE)
    lengths = [len(espeak.say(TEXT, voice.variant, speed).samples) for speed in WORDS_PER_MINUTE]
    assert all(slower > 1.12 * faster for slower, faster in pairwise(lengths))


def test_all_speakers_say_the_same_phones_at_nearly_the_same_times(espeak: Espeak, cast: Cast) -> None:
    rows = [espeak.say(TEXT, voice.variant, 175).phones for voice in cast.voices.values()]
    assert len({tuple(phone for phone, _ in row) for row in rows}) == 1
    times = np.array([[time for _, time in row] for row in rows]) / espeak.sample_rate
    assert np.ptp(times, axis=0).max() < 0.1


@pytest.mark.parametrize("tilt", [-5.0, 0.0, 3.0])
def test_a_tilt_is_so_many_decibels_an_octave_and_none_at_its_pivot(tilt: float) -> None:
    levels = []
    for hertz in (500, 1000, 2000):
        tone = np.sin(2 * np.pi * hertz * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
        levels.append(20 * np.log10(np.std(tilted(tone, tilt)) / np.std(tone)))
    assert levels == pytest.approx([-tilt, 0.0, tilt], abs=0.01)


def test_speakers_differ_in_tilt_but_the_designed_voices_have_none(cast: Cast) -> None:
    assert [speaker.tilt for speaker in cast.teachers] == [0.0, 0.0]
    assert len({speaker.tilt for speaker in (*cast.pupils, *cast.held_out)}) == 6


def test_stress_and_allophones_are_no_phones_of_their_own() -> None:
    assert phone_index("'eI") == phone_index("eI") == INDEX["eI"]
    assert phone_index("t#") == INDEX["t"]
    assert phone_index(";") is None
    with pytest.raises(UnknownPhone):
        phone_index("y:")


def test_a_folder_without_speech_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"training\.corpus"):
        Corpus(tmp_path, torch.device("cpu"))
