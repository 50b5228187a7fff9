"""The recogniser of phones that the voice is measured with."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from training.corpus.corpus import Corpus
from training.evaluate.sound import centroid, median_f0, sounding_seconds
from training.phones.ear import BLANK, PhoneEar, distance
from training.phones.stage import Lessons


@pytest.mark.parametrize(
    ("heard", "said", "errors"),
    [
        ("", "", 0),
        ("abc", "abc", 0),
        ("", "abc", 3),
        ("abc", "", 3),
        ("axc", "abc", 1),
        ("abcd", "bcd", 1),
        ("ba", "ab", 2),
    ],
)
def test_distance_counts_insertions_deletions_and_substitutions(heard: str, said: str, errors: int) -> None:
    assert distance([ord(each) for each in heard], [ord(each) for each in said]) == errors


def test_an_ear_survives_its_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    ear = PhoneEar(24, 3).eval()
    ear.save(tmp_path / "ear.safetensors")
    again = PhoneEar.load(tmp_path / "ear.safetensors")
    samples = torch.randn(1, 8000)
    with torch.no_grad():
        assert (again(samples) - ear(samples)).abs().max() < 0.02
        assert ear(samples).shape[1] == 25


def test_labels_that_go_on_are_heard_once() -> None:
    ear = PhoneEar(16, 1).eval()
    rows = torch.zeros(7, ear.scores.out_features)
    rows[torch.arange(7), torch.tensor([BLANK, 4, 4, BLANK, 4, 9, 9])] = 1.0

    class Scripted(PhoneEar):
        def forward(self, samples: torch.Tensor) -> torch.Tensor:
            return rows[None]

    scripted = Scripted(16, 1)
    assert scripted.hear(np.zeros(100, np.float32)) == (4, 4, 9)


def test_lessons_fit_their_labels(corpus: Corpus) -> None:
    for batch in islice(Lessons(corpus, 10.0, (0,)), 5):
        assert batch.counts.sum() == len(batch.said)
        assert BLANK not in batch.said
        assert (batch.frames <= batch.timed.shape[1]).all()
        assert batch.samples.shape[1] == 320 * batch.timed.shape[1]


@pytest.mark.parametrize("hertz", [75.0, 140.0, 270.0])
def test_f0_of_a_pulse_train(hertz: float) -> None:
    times = np.arange(16_000) / 16_000
    harmonics = np.arange(1, 12)[:, None]
    pulses = np.sum(np.cos(2 * np.pi * hertz * harmonics * times) / harmonics, axis=0)
    assert median_f0(pulses.astype(np.float32)) == pytest.approx(hertz, rel=0.03)


def test_noise_has_no_f0() -> None:
    assert median_f0(np.random.default_rng(0).normal(size=16_000).astype(np.float32)) == 0.0


def test_brighter_sound_has_a_higher_centroid() -> None:
    noise = np.random.default_rng(0).normal(size=16_000).astype(np.float32)
    assert centroid(np.cumsum(noise).astype(np.float32)) < centroid(noise) < centroid(np.diff(noise))


def test_silence_at_the_ends_does_not_count() -> None:
    samples = np.concatenate([np.zeros(8000), np.ones(16_000), np.zeros(4000)]).astype(np.float32)
    assert sounding_seconds(samples) == pytest.approx(1.0, abs=0.01)
    assert sounding_seconds(np.zeros(100, np.float32)) == 0.0
