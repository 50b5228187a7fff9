"""A random checkpoint of tiny widths, by the code that makes those of the published ones."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.shape.checkpoint import made
from bench.shape.published import HALF_BILLION
from bench.shape.shape import Shape, Speaker


def with_widths(config: Mapping[str, Any], **changes: object) -> dict[str, Any]:
    return {**config, **changes}


VOCOS = {"vocos_dim": 16, "vocos_intermediate_dim": 32, "vocos_num_layers": 1}
CODEC = HALF_BILLION.codec
TINY = replace(
    HALF_BILLION,
    name="tiny",
    codec={
        "mel_params": CODEC["mel_params"],
        "encoder": with_widths(CODEC["encoder"], **VOCOS, input_channels=32, out_channels=24),
        "prenet": with_widths(CODEC["prenet"], **VOCOS, input_channels=24, out_channels=24, condition_dim=24),
        "decoder": with_widths(CODEC["decoder"], input_channel=24, channels=32),
        "quantizer": with_widths(CODEC["quantizer"], input_dim=24, codebook_size=512),
        "speaker_encoder": with_widths(
            CODEC["speaker_encoder"], out_dim=24, latent_dim=16, token_num=4, fsq_levels=[4, 4]
        ),
    },
    llm=with_widths(
        HALF_BILLION.llm,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        vocab_size=2200,
        max_position_embeddings=512,
    ),
    wav2vec2=with_widths(
        HALF_BILLION.wav2vec2,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=17,
        num_attention_heads=2,
        conv_dim=[16] * 7,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
    ),
    first_added=256,
    speaker=Speaker(channels=32, groups=4, bottleneck=8, layers=1, attention=64),
)


@pytest.fixture(scope="session")
def tiny_shape() -> Shape:
    return TINY


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(TINY, tmp_path_factory.mktemp("shapes"))
