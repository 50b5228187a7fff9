"""A stream's samples are the same bits, whoever else is decoded in its steps; nearly so on torch's operators."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from services.codec.families.spark.decoder import Samples, SparkDetokenizer

from .test_streaming import Utterance, streamed, utterance

BUNDLED = Path(__file__).parents[5] / "models" / "voxline-small"
LOOK_AHEAD = 3
STREAMS = 17  # torch itself takes other kernels from two rows on, and again from 16.
# They sum in another order for another size of input: measured .8e-6 of full scale, at an RMS of .05.
TORCHS_TOLERANCE = 2.5e-6


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """With more, sums are divided among them by size."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def cuts(codes: list[int], place: int) -> list[tuple[list[int], bool]]:
    """Two pieces, of a length that half the streams share, and a last single code."""
    first = 9 if place % 2 else 16
    return [(codes[:first], False), (codes[first:-1], False), (codes[-1:], True)]


def together(detokenizer: SparkDetokenizer, utterances: list[Utterance], most: int) -> list[Samples]:
    """At most `most` at a time, in turns that chance decides."""
    draw = random.Random(most)
    plans = [cuts(spoken.codes, place) for place, spoken in enumerate(utterances)]
    streams = [detokenizer.open(spoken.speaker, LOOK_AHEAD) for spoken in utterances]
    heard: list[list[Samples]] = [[] for _ in utterances]
    while waiting := [place for place, plan in enumerate(plans) if plan]:
        chosen = draw.sample(waiting, min(most, len(waiting)))
        steps = [(streams[place], *plans[place].pop(0)) for place in chosen]
        for place, samples in zip(chosen, detokenizer.step(steps), strict=True):
            heard[place].append(samples)
    return [np.concatenate(chunks) for chunks in heard]


def test_batch_mates_change_no_bit() -> None:
    detokenizer = SparkDetokenizer.load(BUNDLED)
    utterances = [utterance(detokenizer, 26, seed) for seed in range(STREAMS)]
    alone = together(detokenizer, utterances, 1)
    for one, other in zip(alone, together(detokenizer, utterances, STREAMS), strict=True):
        assert np.array_equal(one, other)


def test_on_torchs_operators_batch_mates_change_little() -> None:
    detokenizer = SparkDetokenizer.load(BUNDLED, cache=None)
    utterances = [utterance(detokenizer, 26, seed) for seed in range(STREAMS)]
    alone = together(detokenizer, utterances, 1)
    for one, other in zip(alone, together(detokenizer, utterances, STREAMS), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=TORCHS_TOLERANCE)


@pytest.mark.parametrize("chunk", [1, 10, 25])
def test_on_torchs_operators_a_stream_is_near_the_whole(chunk: int) -> None:
    detokenizer = SparkDetokenizer.load(BUNDLED, cache=None)
    for seed in range(4):
        spoken = utterance(detokenizer, 97, seed)
        whole = detokenizer.decode(spoken.global_tokens, spoken.codes)
        heard = streamed(detokenizer, spoken, [chunk] * (97 // chunk))
        np.testing.assert_allclose(heard, whole, rtol=0, atol=TORCHS_TOLERANCE)
