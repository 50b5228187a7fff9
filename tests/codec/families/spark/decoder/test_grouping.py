"""Which streams share a forward."""

import pytest
from torch import nn

from services.codec.families.spark.decoder import SparkDetokenizer
from services.codec.families.spark.grouping import Load, forward_tokens, groups


def test_equal_streams_share_one_forward() -> None:
    assert list(groups({index: Load(10, 10) for index in range(8)}, spare_tokens=3)) == [list(range(8))]


def test_a_long_chunk_does_not_pad_short_ones() -> None:
    loads = {0: Load(3, 3), 1: Load(100, 100), 4: Load(4, 4), 7: Load(99, 99)}
    assert list(groups(loads, spare_tokens=3)) == [[1, 7], [4, 0]]
    assert list(groups(loads, spare_tokens=1000)) == [[1, 7, 4, 0]]


def test_a_stream_that_ends_does_not_pad_one_that_goes_on() -> None:
    """Both read ten tokens, but the end lets out all that was held back."""
    assert list(groups({0: Load(10, 10), 1: Load(10, 77)}, spare_tokens=16)) == [[1], [0]]


def test_a_stream_that_begins_does_not_pad_one_that_goes_on() -> None:
    assert list(groups({0: Load(100, 0), 1: Load(1, 0)}, spare_tokens=3)) == [[0], [1]]


@pytest.mark.parametrize("spare", [0, 5, 1000])
def test_every_stream_is_in_one_group(spare: float) -> None:
    loads = {index: Load(index * 7 % 13, index * 5 % 11) for index in range(20)}
    assert sorted(key for group in groups(loads, spare) for key in group) == list(range(20))
    assert list(groups({}, spare)) == []


def test_a_dear_model_is_padded_less(detokenizers: dict[str, SparkDetokenizer]) -> None:
    cheap, dear = (
        forward_tokens(nn.ModuleList((detokenizers[name].prenet, detokenizers[name].generator)))
        for name in ("wide", "even")
    )
    assert cheap > dear
