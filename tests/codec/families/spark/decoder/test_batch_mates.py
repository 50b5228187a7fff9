"""A stream's samples are the same to the last bit, whoever else is decoded in its steps."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from services.codec.families.spark.decoder import Samples, SparkDetokenizer
from services.codec.families.spark.layers import kernels

from .test_streaming import Utterance, utterance

BUNDLED = Path(__file__).parents[5] / "models" / "voxline-small"
LOOK_AHEAD = 3
STREAMS = 17  # torch itself takes other kernels from two rows on, and again from 16.


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


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 9])
def test_row_of_a_linear_map_depends_on_no_other(rows: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (torch.randn(shape, generator=generator) for shape in ((40, 512), (256, 512), (256,)))
    many = kernels.linear(x, weight, bias)
    across = x[:rows].T.contiguous().T
    assert torch.equal(kernels.linear(x[None, :rows], weight, bias)[0], many[:rows])
    assert torch.equal(kernels.linear(across[None], weight, bias)[0], many[:rows])
    torch.testing.assert_close(many, F.linear(x, weight, bias))
