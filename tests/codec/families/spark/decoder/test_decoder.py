"""What the decoder says of itself, and what it refuses."""

import numpy as np
import pytest
import torch

from services.codec.families.spark.config import GeneratorConfig, PrenetConfig
from services.codec.families.spark.decoder import SparkDetokenizer
from services.codec.families.spark.layers.convolution import reach
from services.codec.families.spark.layers.generator import WaveGenerator
from services.codec.families.spark.layers.prenet import Prenet
from services.contract.families.spark import SparkSpeaker
from services.contract.speaker import Speaker
from services.runtime.errors import InvalidRequest


def test_sizes_come_from_the_checkpoint(detokenizers: dict[str, SparkDetokenizer]) -> None:
    odd = detokenizers["odd"]
    assert (odd.hop, odd.sample_rate, odd.frame_rate) == (15, 750, 50.0)
    assert (odd.codebook_size, odd.global_token_count, odd.global_codebook_size) == (53, 3, 28)


def test_the_published_sizes_reach_67_tokens() -> None:
    """57 of the prenet and 9.8 of the generator, measured on the reference implementation."""
    vocos = {"vocos_dim": 384, "vocos_intermediate_dim": 2048, "vocos_num_layers": 12, "sample_ratios": [1, 1]}
    with torch.device("meta"):
        prenet = Prenet(
            PrenetConfig.model_validate({**vocos, "input_channels": 8, "out_channels": 8, "condition_dim": 8})
        )
        generator = WaveGenerator(
            GeneratorConfig(input_channel=8, channels=16, rates=[8, 5, 4, 2], kernel_sizes=[16, 11, 8, 4])
        )
    assert reach(prenet) == 57
    assert float(reach(generator)) == pytest.approx(9.816, abs=1e-3)
    assert generator.look_ahead == 10


def test_an_utterance_of_no_tokens_is_silent(detokenizers: dict[str, SparkDetokenizer]) -> None:
    odd = detokenizers["odd"]
    assert odd.decode([0, 0, 0], []).shape == (0,)
    streams = [odd.open(odd.any_speaker, look_ahead) for look_ahead in (None, 0)]
    assert [len(samples) for samples in odd.step([(stream, [], False) for stream in streams])] == [0, 0]
    assert [len(samples) for samples in odd.step([(stream, [], True) for stream in streams])] == [0, 0]


@pytest.mark.parametrize("tokens", [[0, 0], [0, 0, 0, 0], [], [0, 0, 28]])
def test_wrong_global_tokens_are_refused(detokenizers: dict[str, SparkDetokenizer], tokens: list[int]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        detokenizers["odd"].open(SparkSpeaker(tuple(tokens)).speaker())
    assert caught.value.field == "speaker"


@pytest.mark.parametrize("speaker", [None, Speaker(b"\xff")])
def test_a_speaker_that_is_none_of_sparks_is_refused(
    detokenizers: dict[str, SparkDetokenizer], speaker: Speaker | None
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        detokenizers["odd"].open(speaker)
    assert (caught.value.field or "").startswith("speaker")


@pytest.mark.parametrize("code", [-1, 53, 10**12])
def test_a_wrong_code_is_refused_and_leaves_every_stream_as_it_was(
    detokenizers: dict[str, SparkDetokenizer], code: int
) -> None:
    odd = detokenizers["odd"]
    good, bad = (odd.open(SparkSpeaker(tokens).speaker()) for tokens in ((1, 2, 3), (3, 2, 1)))
    codes = list(range(50))
    with pytest.raises(InvalidRequest) as caught:
        odd.step([(good, codes[:20], False), (bad, [5, code], False)])
    assert caught.value.field == "frames"
    heard = odd.step([(good, codes, True), (bad, codes, True)])
    for samples, speaker in zip(heard, ([1, 2, 3], [3, 2, 1]), strict=True):
        np.testing.assert_allclose(samples, odd.decode(speaker, codes), rtol=0, atol=1e-5)


def test_negative_look_ahead_is_refused(detokenizers: dict[str, SparkDetokenizer]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        detokenizers["odd"].open(detokenizers["odd"].any_speaker, -1)
    assert caught.value.field == "look_ahead_frames"


def test_the_speaker_is_heard(detokenizers: dict[str, SparkDetokenizer]) -> None:
    for detokenizer in detokenizers.values():
        one, other = (detokenizer.decode([tokens] * 3, [7] * 30) for tokens in (0, 1))
        assert np.abs(one - other).max() > 1e-2
