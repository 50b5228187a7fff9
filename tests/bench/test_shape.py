"""A random checkpoint of tiny widths, by the code that makes the published ones."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.shape.checkpoint import made
from bench.shape.published import HALF_BILLION
from bench.shape.shape import Speaker
from bench.shape.vocabulary import added_tokens
from services.codec.families.spark.decoder import SparkDetokenizer
from services.codec.families.spark.tokenizer import SparkTokenizer
from services.llm.engines import engine_loader
from services.llm.engines.engine import EngineOptions
from services.llm.events import CodesDrawn
from services.llm.families import load_family
from services.llm.families.family import Capability, Family
from services.llm.sampling import Sampling
from services.llm.voices import ClonedVoice
from services.llm.voices import Speaker as Globals


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
        "quantizer": with_widths(CODEC["quantizer"], input_dim=24, codebook_size=64),
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
        vocab_size=1700,
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(TINY, tmp_path_factory.mktemp("shapes"))


@pytest.fixture(scope="module")
def family(folder: Path) -> Family:
    return load_family("spark", folder)


def test_checkpoint_is_made_once(folder: Path) -> None:
    before = (folder / "LLM/model.safetensors").stat().st_mtime_ns
    assert made(TINY, folder.parent) == folder
    assert (folder / "LLM/model.safetensors").stat().st_mtime_ns == before
    assert [each.name for each in folder.parent.iterdir()] == ["random-tiny"]


def test_both_halves_of_the_codec_load_it_and_sound(folder: Path) -> None:
    clip = np.sin(np.arange(16_000) * 0.1)
    (voice,) = SparkTokenizer.load(folder).tokenize([clip])
    samples = SparkDetokenizer.load(folder).decode(voice.global_tokens, voice.semantic_tokens)
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() > 1e-3


def test_model_clones_and_designs_nothing(family: Family) -> None:
    assert Capability.CLONE in family.description.capabilities
    assert not family.description.voices


async def test_model_draws_codes_alone_and_never_ends(folder: Path, family: Family, tmp_path: Path) -> None:
    options = EngineOptions("f32", threads=1, max_batch=1, cache_directory=tmp_path)
    engine = await engine_loader("openvino").load(family.engine_model, options)
    prompt = family.prompt("Hello there.", ClonedVoice(Globals((0, 1, 2, 3))))
    reader = family.reader(prompt)
    sampling = Sampling(max_tokens=200, seed=1)
    async with asyncio.timeout(60), aclosing(engine.generate(prompt.ids, sampling, family.stop_ids)) as chunks:
        drawn = [token async for ids in chunks for token in ids]
    await engine.close()
    codes = [code for event in reader.read(drawn) if isinstance(event, CodesDrawn) for code in event.codes]
    assert len(drawn) == len(codes) == 200
    assert len(set(codes)) > 20


def test_published_tokens_have_their_published_ids() -> None:
    """Those of its added_tokens.json; one name stands for the task that is not offered."""
    tokens = added_tokens(HALF_BILLION)
    expected = {
        "<|im_end|>": 151_645,
        "<|bicodec_global_0|>": 151_665,
        "<|bicodec_semantic_0|>": 155_761,
        "<|pitch_label_0|>": 164_965,
        "<|gender_0|>": 165_032,
        "<|task_tts|>": 165_137,
        "<|start_content|>": 165_146,
        "<|end_semantic_token|>": 165_157,
    }
    assert {name: tokens[name] for name in expected} == expected
    assert len(tokens) == 22 + 13_493


def test_a_shape_is_the_same_everywhere(folder: Path, tmp_path: Path) -> None:
    again = made(TINY, tmp_path)
    for part in ("LLM", "BiCodec", "wav2vec2-large-xlsr-53"):
        file = f"{part}/model.safetensors"
        assert (again / file).read_bytes() == (folder / file).read_bytes()
