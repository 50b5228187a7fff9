"""Phones in place of codes: what they are, and how what is learnt of them becomes the codec's."""

import numpy as np
import pytest
import torch

from training.alignment.phone_codes import PHONE_CODES, phone_codes, stand_ins, translate
from training.codec.pairs import phones_at
from training.codec.phases import PLANES
from training.corpus.corpus import Corpus
from training.frames import FIRST_FRAME, HOP, frames_of
from training.llm.vocabulary import Vocabulary
from training.tokens.store import Tokens


def test_each_frame_has_the_code_of_its_phone(corpus: Corpus) -> None:
    for utterance in corpus.utterances:
        codes = phone_codes(utterance)
        moments = FIRST_FRAME // 2 + HOP * np.arange(frames_of(utterance.samples))
        assert np.array_equal(codes // 3, phones_at(moments, utterance))


def test_codes_of_a_phone_come_in_order(corpus: Corpus) -> None:
    for utterance in corpus.utterances:
        codes = phone_codes(utterance).astype(int)
        starts = np.flatnonzero(np.diff(np.searchsorted(utterance.phones[:, 1], 200 + 320 * np.arange(len(codes)))))
        within = np.setdiff1d(np.arange(len(codes) - 1), starts)
        assert (np.diff(codes)[within] >= 0).mean() > 0.95


def test_a_voice_keeps_its_stand_in_speaker(corpus: Corpus) -> None:
    tokens = stand_ins(corpus, Vocabulary(PHONE_CODES, 16), speaker_tokens=4)
    for voice, indices in corpus.by_voice.items():
        assert len({tuple(tokens.globals_[index]) for index in indices}) == 1, voice
    assert len({tuple(row) for row in tokens.globals_}) == len(corpus.by_voice)


def test_a_code_starts_as_the_phones_that_it_comes_with(corpus: Corpus) -> None:
    """Contents that are the phone codes in another order get just their rows, in that order, in every plane."""
    order = np.random.default_rng(0).permutation(PHONE_CODES)
    codes = [order[phone_codes(utterance)].astype(np.uint16) for utterance in corpus.utterances]
    tokens = Tokens(codes, np.zeros((len(codes), 4), np.uint16))
    embeddings = torch.randn(PLANES * PHONE_CODES + 10, 8)
    before = embeddings.clone()
    translate(embeddings, 5, PHONE_CODES, corpus, tokens)
    used = np.unique(np.concatenate([phone_codes(utterance) for utterance in corpus.utterances]))
    for plane in range(PLANES):
        first = 5 + plane * PHONE_CODES
        for code in used:
            assert embeddings[first + order[code]].tolist() == pytest.approx(before[first + code].tolist(), abs=0.5)
    assert torch.equal(embeddings[:5], before[:5])
    assert torch.equal(embeddings[-5:], before[-5:])
