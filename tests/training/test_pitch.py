"""The pitch of speech and its phase, and what of it codes tell."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from training.codec.phases import PHASES, PLANES, planes, planes_at, units
from training.corpus.__main__ import HELD_OUT_SPEAKERS, PUPILS
from training.corpus.corpus import Corpus
from training.corpus.pitch import Pitch
from training.corpus.speakers import Cast
from training.corpus.utterance import SAMPLE_RATE
from training.frames import HOP

FRAMES = 50


def tone(f0: float, turns: float) -> NDArray[np.float32]:
    """A second of a buzz: six harmonics of a voice that is `turns` into its period at the start."""
    phase = turns + f0 * np.arange(SAMPLE_RATE) / SAMPLE_RATE
    wave = sum(np.cos(2 * np.pi * number * phase) / number for number in range(1, 7))
    return (0.1 * np.asarray(wave)).astype(np.float32)


@pytest.mark.parametrize("f0", [71.0, 100.0, 133.3, 212.0, 305.0])
def test_pitch_and_phase_are_those_of_the_wave(f0: float) -> None:
    pitch = Pitch.of(tone(f0, 0.3), FRAMES)
    middle = slice(3, FRAMES - 3)
    assert np.allclose(pitch.f0[middle], f0, rtol=0.01)
    centres = HOP * np.arange(FRAMES) + HOP // 2
    away = pitch.phase - (0.3 + f0 * centres / SAMPLE_RATE)
    assert np.abs(away - np.rint(away))[middle].max() < 0.02


def test_between_frames_the_phase_goes_on() -> None:
    moments = np.arange(1600, 8000, 37)
    f0, phase = Pitch.of(tone(150.0, 0.0), FRAMES).at(moments)
    away = phase - 150.0 * moments / SAMPLE_RATE
    assert np.abs(away - np.rint(away)).max() < 0.03
    assert np.allclose(f0, 150, rtol=0.01)


def test_noise_and_silence_have_no_pitch() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    assert (Pitch.of(noise, FRAMES).f0 > 0).mean() < 0.1
    assert not Pitch.of(np.zeros(SAMPLE_RATE, np.float32), FRAMES).f0.any()


def test_the_teachers_pitch_is_the_one_asked_for(corpus: Corpus) -> None:
    voices = Cast.draw(PUPILS, HELD_OUT_SPEAKERS).voices
    for utterance, pitch in zip(corpus.utterances, corpus.pitches, strict=True):
        wanted = voices[utterance.voice].speaker.f0[utterance.pitch]
        assert len(pitch.f0) == (utterance.samples - 400) // HOP + 1
        assert 0.8 < np.median(pitch.f0[pitch.f0 > 0]) / wanted < 1.3


def test_the_teachers_phase_turns_as_its_pitch_says(corpus: Corpus) -> None:
    away = []
    for pitch in corpus.pitches:
        steady = (pitch.f0[1:] > 0) & (pitch.f0[:-1] > 0)
        turned = np.diff(pitch.phase) - (pitch.f0[1:] + pitch.f0[:-1]) / 2 * HOP / SAMPLE_RATE
        away.append(np.abs(turned - np.rint(turned))[steady])
    assert np.median(np.concatenate(away)) < 0.05


def test_planes_are_quarters_of_a_period() -> None:
    phase = np.array([0.0, 0.24, 0.26, 0.5, 0.99, 0.3, 1.3], np.float32)
    f0 = np.array([100, 100, 100, 100, 100, 0, 100], np.float32)
    assert planes(f0, phase).tolist() == [1, 1, 2, 3, 4, 0, 2]
    pitch = Pitch.of(tone(100.0, 0.0), FRAMES)
    # 3200 samples are 20 periods.
    assert planes_at(3200 + np.array([20, 60, 100, 140]), pitch).tolist() == [1, 2, 3, 4]


def test_units_are_directions_of_the_planes() -> None:
    rows = units()
    assert torch.allclose(rows.norm(dim=1), torch.ones(PLANES))
    assert torch.allclose(rows[1:].sum(0), torch.zeros(3), atol=1e-6)
    assert (rows @ rows.T).argmax(1).tolist() == list(range(1 + PHASES))
