"""Codes that stand in for the codec's while it is still being trained: which phone a frame holds."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.codec.phases import PLANES
from training.corpus.corpus import Corpus
from training.corpus.phones import PHONES
from training.corpus.utterance import Utterance
from training.frames import FIRST_FRAME, HOP, frames_of
from training.llm.vocabulary import Vocabulary
from training.tokens.store import Tokens

_PARTS = 3
"""Of a phone: its first, second and last third have codes of their own."""
PHONE_CODES = _PARTS * len(PHONES)


def phone_codes(utterance: Utterance) -> NDArray[np.uint16]:
    """One of PHONE_CODES for each frame [F]."""
    moments = FIRST_FRAME // 2 + HOP * np.arange(frames_of(utterance.samples))
    starts = np.concatenate([[0], utterance.phones[:, 1], [utterance.samples + HOP]])
    phones = np.concatenate([[0], utterance.phones[:, 0]])
    index = np.searchsorted(starts, moments, side="right") - 1
    part = _PARTS * (moments - starts[index]) // np.maximum(starts[index + 1] - starts[index], 1)
    codes: NDArray[np.uint16] = (_PARTS * phones[index] + np.clip(part, 0, _PARTS - 1)).astype(np.uint16)
    return codes


def stand_ins(corpus: Corpus, vocabulary: Vocabulary, speaker_tokens: int) -> Tokens:
    """For a whole corpus; each voice gets global tokens at random."""
    draws = np.random.default_rng(0)
    globals_ = {voice: draws.integers(vocabulary.globals_, size=speaker_tokens) for voice in sorted(corpus.by_voice)}
    return Tokens(
        codes=[phone_codes(utterance) for utterance in corpus.utterances],
        globals_=np.stack([globals_[utterance.voice] for utterance in corpus.utterances]).astype(np.uint16),
    )


@torch.no_grad()
def translate(embeddings: Tensor, first: int, count: int, corpus: Corpus, tokens: Tokens) -> None:
    """embeddings [V, H], in place: the rows of the codec's codes, from `first` on, become means of those of the phone
    codes that their contents come with in `tokens`, in their own plane. count: of contents.
    """
    together = np.ones((count, PHONE_CODES)) * 1e-3
    for utterance, codes in zip(corpus.utterances, tokens.codes, strict=True):
        np.add.at(together, (codes % count, phone_codes(utterance)), 1)
    shares = torch.from_numpy(together / together.sum(1, keepdims=True)).to(embeddings)
    for plane in range(first, first + PLANES * count, count):
        embeddings[plane : plane + count] = shares @ embeddings[plane : plane + PHONE_CODES]
