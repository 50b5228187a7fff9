"""Streams of short look-ahead: when they are heard, how far they are off, what they cost."""

from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.codec.families.spark.decoder import Samples, SparkDetokenizer
from services.codec.families.spark.layers.convolution import computed, reach, reset_computed
from services.contract.families.spark import SparkSpeaker

NAMES = ["even", "odd", "narrow", "wide"]
Utterance = tuple[list[int], list[int]]


def utterance(detokenizer: SparkDetokenizer, length: int, seed: int = 0) -> Utterance:
    rng = np.random.default_rng(seed)
    speaker = rng.integers(0, detokenizer.global_codebook_size, detokenizer.global_token_count)
    return speaker.tolist(), rng.integers(0, detokenizer.codebook_size, length).tolist()


def streamed(detokenizer: SparkDetokenizer, spoken: Utterance, look_ahead: int | None, chunk: int = 10) -> Samples:
    stream = detokenizer.open(SparkSpeaker(tuple(spoken[0])).speaker(), look_ahead)
    length = len(spoken[1])
    pieces = [
        detokenizer.step([(stream, spoken[1][start : start + chunk], start + chunk >= length)])[0]
        for start in range(0, length, chunk)
    ]
    return np.concatenate(pieces)


def error(heard: Samples, expected: Samples) -> float:
    """RMS of the difference relative to the RMS of the expected."""
    assert heard.shape == expected.shape
    return float(np.sqrt(np.mean((heard - expected) ** 2) / np.mean(expected**2)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("look_ahead", [0, 1, 2, 5, 11, 1000])
def test_a_token_is_heard_once_so_many_more_are_there(
    detokenizers: dict[str, SparkDetokenizer], name: str, look_ahead: int
) -> None:
    detokenizer = detokenizers[name]
    speaker, codes = utterance(detokenizer, 60)
    stream = detokenizer.open(SparkSpeaker(tuple(speaker)).speaker(), look_ahead)
    waits = min(look_ahead, detokenizer.right_field)
    heard = 0
    for start in range(0, 60, 3):
        heard += len(detokenizer.step([(stream, codes[start : start + 3], False)])[0])
        assert heard == max(0, start + 3 - waits) * detokenizer.hop
    heard += len(detokenizer.step([(stream, [], True)])[0])
    assert heard == 60 * detokenizer.hop


@pytest.mark.parametrize("name", NAMES)
def test_more_look_ahead_is_closer_and_the_right_field_exact(
    detokenizers: dict[str, SparkDetokenizer], name: str
) -> None:
    detokenizer = detokenizers[name]
    spoken = utterance(detokenizer, 200)
    whole = detokenizer.decode(*spoken)
    full = detokenizer.right_field
    errors = [error(streamed(detokenizer, spoken, waits), whole) for waits in (0, full // 3, 2 * full // 3, full)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 1e-2
    assert errors[-1] <= 1e-5


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15)
@given(changes=st.lists(st.tuples(st.integers(0, 30), st.none() | st.integers(0, 30)), max_size=8))
def test_look_ahead_may_change_and_full_look_ahead_is_exact_again(
    detokenizers: dict[str, SparkDetokenizer], name: str, changes: list[tuple[int, int | None]]
) -> None:
    detokenizer = detokenizers[name]
    reach = detokenizer.right_field
    before = sum(chunk for chunk, _ in changes)
    speaker, codes = utterance(detokenizer, before + 3 * reach)
    stream = detokenizer.open(SparkSpeaker(tuple(speaker)).speaker())
    pieces, position = [], 0
    for chunk, look_ahead in changes:
        stream.look_ahead = look_ahead
        pieces += detokenizer.step([(stream, codes[position : position + chunk], False)])
        position += chunk
    stream.look_ahead = None
    pieces += detokenizer.step([(stream, codes[position : position + 7], False)])
    pieces += detokenizer.step([(stream, codes[position + 7 :], True)])
    heard, whole = np.concatenate(pieces), detokenizer.decode(speaker, codes)
    assert heard.shape == whole.shape
    settled = (before + reach) * detokenizer.hop
    np.testing.assert_allclose(heard[settled:], whole[settled:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_streams_of_any_look_ahead_share_a_batch(detokenizers: dict[str, SparkDetokenizer], name: str) -> None:
    detokenizer = detokenizers[name]
    waits = [0, 3, 8, None, 1, None, 12, 5]
    spoken = [utterance(detokenizer, 60 + 5 * row, row) for row in range(8)]
    streams = [
        detokenizer.open(SparkSpeaker(tuple(speaker)).speaker(), look_ahead)
        for (speaker, _), look_ahead in zip(spoken, waits, strict=True)
    ]
    pieces: list[list[NDArray[np.float32]]] = [[] for _ in spoken]
    for start in range(0, 100, 10):
        rows = [row for row in range(8) if start < len(spoken[row][1])]
        items = [(streams[row], spoken[row][1][start : start + 10], start + 10 >= len(spoken[row][1])) for row in rows]
        for row, samples in zip(rows, detokenizer.step(items), strict=True):
            pieces[row].append(samples)
    for row, look_ahead in enumerate(waits):
        alone = streamed(detokenizer, spoken[row], look_ahead)
        np.testing.assert_allclose(np.concatenate(pieces[row]), alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["even", "odd", "narrow"])
def test_behind_the_waist_short_look_ahead_costs_nothing(detokenizers: dict[str, SparkDetokenizer], name: str) -> None:
    """Given the few tokens that the layers behind the generator's first block look ahead themselves."""
    detokenizer = detokenizers[name]
    spoken = utterance(detokenizer, 200)
    behind = detokenizer.generator.model[2:]
    for look_ahead in (None, ceil(reach(behind)) + 1):
        reset_computed(detokenizer.generator)
        streamed(detokenizer, spoken, look_ahead)
        assert 1 <= computed(behind) / 200 <= 1.02
