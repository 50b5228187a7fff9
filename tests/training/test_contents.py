"""What codes say, by design."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from training.codec.sizes import SIZES
from training.contents import store
from training.contents.__main__ import OWNERS, contents_of, main
from training.contents.features import features, moments_of, phones_at
from training.contents.sounds import Sounds
from training.contents.trees import Trees
from training.corpus.corpus import Corpus
from training.corpus.phones import PHONES
from training.frames import HOP, frames_of
from training.options import Options


def grown(corpus: Corpus, count: int) -> Trees:
    heard = Sounds.of(corpus, range(len(corpus.utterances)))
    return Trees.grow(heard.phones, heard.features, heard.cepstra, count, 0)


def test_features_tell_the_place_among_the_phones(corpus: Corpus) -> None:
    utterance = corpus.utterances[0]
    label, start = (int(value) for value in utterance.phones[3])
    end = int(utterance.phones[4, 1])
    phones, places = features(np.array([start, end - 1]), utterance)
    assert phones.tolist() == [label, label]
    assert places.shape == (2, 4 + 2 * len(PHONES))
    assert places[0, :4].tolist() == pytest.approx([0, 0, (end - start) / HOP, (end - start) / HOP])
    assert places[1, 0] > 0.99
    before, after = places[0, 4 : 4 + len(PHONES)], places[0, 4 + len(PHONES) :]
    assert (before.argmax(), after.argmax()) == (utterance.phones[2, 0], utterance.phones[4, 0])
    assert (before.sum(), after.sum()) == (1, 1)


def test_before_the_first_phone_is_silence(corpus: Corpus) -> None:
    utterance = corpus.utterances[0]
    assert phones_at(np.array([0, utterance.samples + 5000]), utterance).tolist() == [0, 0]


def test_a_content_belongs_to_one_phone(corpus: Corpus) -> None:
    trees, used = grown(corpus, 300), set()
    assert trees.count <= 300
    for utterance, contents in zip(corpus.utterances, contents_of(trees, corpus.utterances), strict=True):
        phones = phones_at(moments_of(frames_of(utterance.samples)), utterance)
        assert np.array_equal(trees.owners[contents], phones)
        used.update(contents.tolist())
    assert len(used) > 100


def test_contents_say_more_of_the_sound_than_phones(corpus: Corpus) -> None:
    trees = grown(corpus, 300)
    heard = Sounds.of(corpus, range(len(corpus.utterances)))
    contents = trees.of(heard.phones, heard.features)
    assert spread(heard.cepstra, contents) < 0.8 * spread(heard.cepstra, heard.phones)


def spread(sounds: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The mean variance within a label."""
    return sum(float(sounds[labels == label].var(0).sum()) * (labels == label).mean() for label in np.unique(labels))


def test_a_phone_that_was_never_heard_counts_as_silence(corpus: Corpus) -> None:
    trees = grown(corpus, 300)
    phones, places = features(moments_of(20), corpus.utterances[0])
    unheard = next(phone for phone in range(len(PHONES)) if phone not in trees.trees)
    assert np.array_equal(trees.of(np.full_like(phones, unheard), places), trees.of(np.zeros_like(phones), places))


def test_every_utterance_gets_contents(options: Options) -> None:
    assert main(options)
    for part in ("train", "held_out"):
        corpus = Corpus(options.data / part, torch.device("cpu"))
        contents = store.read(options.out / "contents" / part, corpus)
        assert [len(row) for row in contents] == [frames_of(each.samples) for each in corpus.utterances]
    assert len(np.load(options.out / "contents" / OWNERS)) == SIZES["tiny"].contents
