"""A random checkpoint, and what all that load it make of it."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from bench.shape.checkpoint import made
from bench.shape.published import HALF_BILLION
from bench.shape.shape import Shape
from bench.shape.vocabulary import added_tokens
from services.codec.families.spark.decoder import SparkDetokenizer
from services.codec.families.spark.tokenizer import SparkTokenizer
from services.contract.families.spark import SparkSpeaker
from services.contract.generation import HeardVoice
from services.contract.model import Capability
from services.llm.engines import engine_loader
from services.llm.engines.engine import EngineOptions
from services.llm.families import load_family
from services.llm.families.family import Family
from services.llm.sampling import ResolvedSampling


@pytest.fixture(scope="module")
def family(folder: Path) -> Family:
    return load_family("spark", folder)


def test_checkpoint_is_made_once(folder: Path, tiny_shape: Shape) -> None:
    before = (folder / "LLM/model.safetensors").stat().st_mtime_ns
    assert made(tiny_shape, folder.parent) == folder
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
    assert not family.description.built_in_voices


async def test_model_draws_codes_alone_and_never_ends(folder: Path, family: Family, tmp_path: Path) -> None:
    options = EngineOptions("f32", threads=1, max_batch=1, cache_directory=tmp_path)
    engine = await engine_loader("transformers").load(family.engine_model, options)
    prompt = family.prompt("Hello there.", HeardVoice(SparkSpeaker((0, 1, 2, 3)).speaker()))
    reader = family.reader(prompt)
    sampling = ResolvedSampling(max_tokens=200, seed=1)
    async with asyncio.timeout(60), aclosing(engine.generate(prompt.ids, sampling, family.stop_ids)) as chunks:
        drawn = [token async for ids in chunks for token in ids]
    await engine.close()
    frames = reader.read(drawn, last=True).frames
    assert frames is not None
    codes = frames.codes
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


def test_a_shape_is_the_same_everywhere(folder: Path, tiny_shape: Shape, tmp_path: Path) -> None:
    again = made(tiny_shape, tmp_path)
    for part in ("LLM", "BiCodec", "wav2vec2-large-xlsr-53"):
        file = f"{part}/model.safetensors"
        assert (again / file).read_bytes() == (folder / file).read_bytes()
