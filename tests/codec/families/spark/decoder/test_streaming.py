"""Streams of full look-ahead against the whole utterance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.codec.families.spark.decoder import Samples, SparkDetokenizer
from services.codec.families.spark.layers.convolution import computed, convolutions, reset_computed
from services.contract.families.spark import SparkSpeaker
from services.contract.speaker import Speaker

NAMES = ["even", "odd", "narrow", "wide"]
chunkings = st.lists(st.integers(0, 40), max_size=12)


@dataclass
class Utterance:
    global_tokens: list[int]
    codes: list[int]

    @property
    def speaker(self) -> Speaker:
        return SparkSpeaker(tuple(self.global_tokens)).speaker()


def utterance(detokenizer: SparkDetokenizer, length: int, seed: int) -> Utterance:
    rng = np.random.default_rng(seed)
    speaker = rng.integers(0, detokenizer.global_codebook_size, detokenizer.global_token_count)
    return Utterance(speaker.tolist(), rng.integers(0, detokenizer.codebook_size, length).tolist())


def streamed(
    detokenizer: SparkDetokenizer, spoken: Utterance, chunks: Sequence[int], look_ahead: int | None = None
) -> Samples:
    """Feed pieces of `chunks` codes, each as it comes, then nothing but the end."""
    stream = detokenizer.open(spoken.speaker, look_ahead)
    heard, position = [], 0
    for chunk in chunks:
        heard += detokenizer.step([(stream, spoken.codes[position : position + chunk], False)])
        position += chunk
    heard += detokenizer.step([(stream, spoken.codes[position:], True)])
    return np.concatenate(heard)


def assert_close(heard: Samples, expected: Samples) -> None:
    assert heard.dtype == np.float32
    assert heard.shape == expected.shape
    np.testing.assert_allclose(heard, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_random_voices_are_loud(detokenizers: dict[str, SparkDetokenizer], name: str) -> None:
    detokenizer = detokenizers[name]
    spoken = utterance(detokenizer, 50, 0)
    whole = detokenizer.decode(spoken.global_tokens, spoken.codes)
    assert whole.shape == (50 * detokenizer.hop,)
    assert 0.05 < whole.std() < 0.9


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40)
@given(chunks=chunkings, seed=st.integers(0, 9))
def test_any_chunking_gives_the_whole_waveform(
    detokenizers: dict[str, SparkDetokenizer], name: str, chunks: list[int], seed: int
) -> None:
    detokenizer = detokenizers[name]
    spoken = utterance(detokenizer, sum(chunks) + seed, seed)
    whole = detokenizer.decode(spoken.global_tokens, spoken.codes)
    assert_close(streamed(detokenizer, spoken, chunks), whole)


@pytest.mark.parametrize("name", NAMES)
def test_audio_comes_as_soon_as_it_is_determined(detokenizers: dict[str, SparkDetokenizer], name: str) -> None:
    detokenizer = detokenizers[name]
    spoken = utterance(detokenizer, 80, 1)
    stream = detokenizer.open(spoken.speaker)
    heard = 0
    for received, code in enumerate(spoken.codes, start=1):
        heard += len(detokenizer.step([(stream, [code], False)])[0])
        assert heard == max(0, received - detokenizer.right_field) * detokenizer.hop


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("chunk", [1, 7, 200])
def test_every_layer_computes_each_frame_once(detokenizers: dict[str, SparkDetokenizer], name: str, chunk: int) -> None:
    detokenizer = detokenizers[name]
    spoken = utterance(detokenizer, 140, 2)
    layers = [*convolutions(detokenizer.prenet), *convolutions(detokenizer.generator)]
    for part in (detokenizer.prenet, detokenizer.generator):
        reset_computed(part)
    streamed(detokenizer, spoken, [chunk] * (140 // chunk))
    assert {1.0} <= {layer.tally.columns / layer.rate / 140 for layer in layers}
    assert max(layer.tally.columns / layer.rate / 140 for layer in layers) <= 1.05
    assert 1 <= computed(detokenizer.generator) / 140 <= 1.05


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15)
@given(data=st.data())
def test_streams_in_one_batch_do_not_touch_one_another(
    detokenizers: dict[str, SparkDetokenizer], name: str, data: st.DataObject
) -> None:
    """Eight utterances of any lengths, chunked and interleaved at will."""
    detokenizer = detokenizers[name]
    lengths = data.draw(st.lists(st.integers(0, 70), min_size=8, max_size=8), label="lengths")
    spoken = [utterance(detokenizer, length, seed) for seed, length in enumerate(lengths)]
    streams = [detokenizer.open(each.speaker) for each in spoken]
    heard: list[list[Samples]] = [[] for _ in spoken]
    position = [0] * len(spoken)
    going = set(range(len(spoken)))
    while going:
        chosen = sorted(data.draw(st.sets(st.sampled_from(sorted(going)), min_size=1)))
        items = []
        for index in chosen:
            end = position[index] + data.draw(st.integers(1, 60))
            items.append((streams[index], spoken[index].codes[position[index] : end], end >= lengths[index]))
            position[index] = end
        for index, (_, _, last), samples in zip(chosen, items, detokenizer.step(items), strict=True):
            heard[index].append(samples)
            going -= {index} if last else set()
    for each, pieces in zip(spoken, heard, strict=True):
        assert_close(np.concatenate(pieces), detokenizer.decode(each.global_tokens, each.codes))
