"""The LLM stage against what the reference gave: prompts and greedy ids exactly, logits within 1e-3.

The vectors sample from the whole vocabulary, so here every id is allowed.
"""

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.contract.design import DesignedVoice, Gender, Level
from services.contract.families.spark import SparkSpeaker
from services.contract.frames import Frames
from services.contract.generation import HeardVoice, MadeUpVoice, Turn, VoiceInput
from services.llm.engines import engine_loader
from services.llm.engines.engine import EngineModel, EngineOptions
from services.llm.engines.stepper import Job
from services.llm.engines.transformers import Sequence, TransformersStepper
from services.llm.families import load_family
from services.llm.families.family import Family
from services.llm.sampling import ResolvedSampling

VECTORS = Path(__file__).parent / "spark-tiny"
KEYS = ["clone", "clone_with_transcript", "control", "control_male_low"]
GREEDY = ResolvedSampling(max_tokens=64, min_tokens=64, temperature=0.0)


@pytest.fixture(scope="module")
def expected() -> Mapping[str, Any]:
    content: Mapping[str, Any] = json.loads((VECTORS / "llm.json").read_text("utf-8"))
    return content


@pytest.fixture(scope="module")
def tensors() -> Mapping[str, NDArray[np.float32]]:
    return np.load(VECTORS / "expected.npz")


@pytest.fixture(scope="module")
def family() -> Family:
    return load_family("spark", VECTORS / "model")


@pytest.fixture(scope="module")
def model(family: Family) -> EngineModel:
    whole = family.engine_model
    return dataclasses.replace(whole, allowed=tuple(range(whole.vocabulary)))


def options(cache: Path) -> EngineOptions:
    return EngineOptions(precision="f32", threads=1, max_batch=4, cache_directory=cache)


@pytest.fixture(scope="module")
def stepper(model: EngineModel) -> TransformersStepper:
    return TransformersStepper(model, options(Path()))


def voice(key: str, prompts: Mapping[str, str]) -> VoiceInput:
    def codes(name: str) -> tuple[int, ...]:
        return tuple(int(code) for code in re.findall(rf"<\|bicodec_{name}_(\d+)\|>", prompts[key]))

    match key:
        case "clone":
            return HeardVoice(SparkSpeaker(codes("global")).speaker())
        case "clone_with_transcript":
            spoken = Turn("A bright new morning begins.", Frames.of_codes(codes("semantic")))
            return HeardVoice(SparkSpeaker(codes("global")).speaker(), (spoken,))
        case "control":
            return MadeUpVoice(DesignedVoice(Gender.FEMALE, Level.MODERATE, Level.HIGH))
        case _:
            return MadeUpVoice(DesignedVoice(Gender.MALE, Level.VERY_LOW, Level.VERY_HIGH))


def sequence(expected: Mapping[str, Any], key: str, sampling: ResolvedSampling) -> Sequence:
    return Sequence(Job(0, tuple(expected["ids"][key]), sampling, frozenset()))


@pytest.mark.parametrize("key", KEYS)
def test_prompts_are_the_reference_ids(family: Family, expected: Mapping[str, Any], key: str) -> None:
    text = "quick test" if key == "control_male_low" else expected["text"]
    assert list(family.prompt(text, voice(key, expected["prompts"])).ids) == expected["ids"][key]


@pytest.mark.parametrize("key", KEYS)
def test_logits_are_the_reference_logits(
    stepper: TransformersStepper, expected: Mapping[str, Any], tensors: Mapping[str, NDArray[np.float32]], key: str
) -> None:
    logits = stepper.logits(sequence(expected, key, GREEDY)).numpy()
    np.testing.assert_allclose(logits, tensors[f"llm/{key}/last_logits"], atol=1e-3)


@pytest.mark.parametrize("key", KEYS)
def test_warped_probabilities_are_the_reference_probabilities(
    stepper: TransformersStepper, expected: Mapping[str, Any], tensors: Mapping[str, NDArray[np.float32]], key: str
) -> None:
    drawing = sequence(expected, key, ResolvedSampling(max_tokens=1))
    probabilities = drawing.warped(stepper.logits(drawing)).softmax(-1).numpy()
    wanted = tensors[f"llm/{key}/warped_probs"]
    np.testing.assert_allclose(probabilities, wanted, atol=1e-4)
    assert ((probabilities > 0) == (wanted > 0)).all()


async def test_greedy_ids_are_the_reference_ids(
    model: EngineModel, family: Family, expected: Mapping[str, Any], tmp_path: Path
) -> None:
    engine = await engine_loader("transformers").load(model, options(tmp_path))
    for key in KEYS:
        prompt = expected["ids"][key]
        drawn = [token async for chunk in engine.generate(prompt, GREEDY, frozenset({436})) for token in chunk]
        assert drawn == expected["greedy"][key]
    await engine.close()
