"""Checkpoints and the pieces on top of them that most tests of the LLM stage need."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import Qwen2ForCausalLM

from services.contract.design import DesignedVoice, Gender
from services.contract.generation import MadeUpVoice
from services.llm.engines.engine import EngineModel
from services.llm.families import load_family
from services.llm.families.family import Family

Logits = NDArray[np.float32]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def small() -> Path:
    """The bundled voice."""
    return ROOT / "models" / "voxline-small"


@pytest.fixture(scope="session")
def tiny() -> Path:
    """Random weights; other sizes and another order of ids than the bundled voice."""
    return ROOT / "tests" / "parity" / "spark-tiny" / "model"


@pytest.fixture(scope="session")
def small_family(small: Path) -> Family:
    return load_family("spark", small)


@pytest.fixture(scope="session")
def tiny_family(tiny: Path) -> Family:
    return load_family("spark", tiny)


@pytest.fixture(scope="session")
def tiny_model(tiny_family: Family) -> EngineModel:
    return tiny_family.engine_model


def prompted(family: Family) -> list[int]:
    """A prompt, and something after it."""
    prompt = family.prompt("A bright new morning begins.", MadeUpVoice(DesignedVoice(Gender.FEMALE)))
    return [*prompt.ids, *family.engine_model.allowed[::11]]


def reference(model: EngineModel, ids: list[int]) -> Logits:
    """By transformers, [S, V]."""
    qwen2 = Qwen2ForCausalLM.from_pretrained(model.directory, dtype=torch.float32)
    with torch.inference_mode():
        logits: Logits = qwen2(torch.tensor([ids])).logits[0].numpy()
    return logits


def correlation(model: EngineModel, found: Logits, expected: Logits) -> float:
    """Of the logits of a position, averaged over positions."""
    allowed = list(model.allowed)
    pairs = zip(found[:, allowed], expected[:, allowed], strict=True)
    return float(np.mean([np.corrcoef(one, other)[0, 1] for one, other in pairs]))
