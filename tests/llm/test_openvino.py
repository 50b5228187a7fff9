"""The graph that is built from a checkpoint, against transformers; and the folder where it is kept."""

import asyncio
import dataclasses
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import openvino as ov
import pytest

from services.llm.engines.engine import EngineModel, EngineOptions
from services.llm.engines.openvino import open_pipeline
from services.llm.engines.openvino_conversion import built, openvino_ir
from services.llm.engines.openvino_graph import NEVER
from services.llm.engines.openvino_stepper import OpenVinoStepper, Room
from services.llm.engines.stepped import SteppedEngine
from services.llm.families.family import Family
from services.llm.sampling import ResolvedSampling

from .conftest import Logits, correlation, prompted, reference


@pytest.fixture(scope="module", params=["small_family", "tiny_family"])
def family(request: pytest.FixtureRequest) -> Family:
    family: Family = request.getfixturevalue(request.param)
    return family


@pytest.fixture(scope="module")
def ids(family: Family) -> list[int]:
    return prompted(family)


@pytest.fixture(scope="module")
def small_ids(small_family: Family) -> list[int]:
    return prompted(small_family)


@pytest.fixture(scope="module")
def small_expected(small_family: Family, small_ids: list[int]) -> Logits:
    return reference(small_family.engine_model, small_ids)


def computed(model: EngineModel, precision: str, ids: list[int]) -> Logits:
    """[S, V], without a cache before."""
    properties = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    request = ov.Core().compile_model(built(model, precision), "CPU", properties).create_infer_request()
    inputs = {
        "input_ids": np.array([ids]),
        "attention_mask": np.ones((1, len(ids)), np.int64),
        "position_ids": np.arange(len(ids))[None],
        "beam_idx": np.zeros(1, np.int32),
        "sampled_tokens_indices": np.zeros(1, np.int64),
    }
    logits: Logits = request.infer(inputs)["logits"][0]
    return logits


def test_f32_graph_gives_the_logits_of_transformers(family: Family, ids: list[int]) -> None:
    allowed = list(family.engine_model.allowed)
    logits, expected = computed(family.engine_model, "f32", ids), reference(family.engine_model, ids)
    np.testing.assert_allclose(logits[:, allowed], expected[:, allowed], atol=1e-3)


def test_ids_that_are_not_allowed_have_no_chance(family: Family, ids: list[int]) -> None:
    model = family.engine_model
    for allowed in (model.allowed, model.allowed[::3]):
        logits = computed(dataclasses.replace(model, allowed=allowed), "f32", ids)
        others = sorted(set(range(model.vocabulary)) - set(allowed))
        assert logits.shape[-1] == model.vocabulary
        assert (logits[:, others] == NEVER).all()


def test_scattered_ids_have_the_logits_of_contiguous_ones(family: Family, ids: list[int]) -> None:
    model = family.engine_model
    scattered = list(model.allowed[::3])
    np.testing.assert_allclose(
        computed(dataclasses.replace(model, allowed=tuple(scattered)), "f32", ids)[:, scattered],
        computed(model, "f32", ids)[:, scattered],
        atol=1e-4,
    )


@pytest.mark.parametrize(("precision", "likeness"), [("bf16", 0.9999), ("int8", 0.999), ("q4_0", 0.96)])
def test_fewer_bits_keep_the_shape_of_the_logits(
    small_family: Family, small_ids: list[int], small_expected: Logits, precision: str, likeness: float
) -> None:
    model = small_family.engine_model
    mean = correlation(model, computed(model, precision, small_ids), small_expected)
    assert likeness <= mean
    # The checkpoint is in bf16 itself.
    assert (mean < 1 - 1e-7) == (precision != "bf16")


@pytest.fixture
def copied(tiny_model: EngineModel, tmp_path: Path) -> EngineModel:
    shutil.copytree(tiny_model.directory, tmp_path / "LLM")
    return dataclasses.replace(tiny_model, directory=tmp_path / "LLM")


def test_conversion_happens_once(copied: EngineModel, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = openvino_ir(copied, "f32", cache)
    written = (first / "openvino_model.bin").stat().st_mtime_ns
    assert openvino_ir(copied, "f32", cache) == first
    assert (first / "openvino_model.bin").stat().st_mtime_ns == written
    assert list(cache.glob("openvino-*")) == [first]


def test_same_contents_elsewhere_are_the_same_entry(copied: EngineModel, tmp_path: Path) -> None:
    shutil.copytree(copied.directory, tmp_path / "elsewhere")
    moved = dataclasses.replace(copied, directory=tmp_path / "elsewhere")
    assert openvino_ir(copied, "f32", tmp_path / "cache") == openvino_ir(moved, "f32", tmp_path / "cache")


def test_whatever_the_graph_depends_on_makes_another_entry(copied: EngineModel, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    entries = {openvino_ir(copied, "f32", cache), openvino_ir(copied, "int8", cache)}
    entries.add(openvino_ir(dataclasses.replace(copied, allowed=copied.allowed[1:]), "f32", cache))
    weights = copied.directory / "model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    entries.add(openvino_ir(copied, "f32", cache))
    assert len(entries) == 4


def test_processes_that_start_together_share_one_entry(copied: EngineModel, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with ProcessPoolExecutor(3, get_context("spawn")) as pool:
        entries = set(pool.map(openvino_ir, [copied] * 3, ["f32"] * 3, [cache] * 3))
    assert len(entries) == 1
    assert list(cache.glob("openvino-*")) == list(entries)
    ov.Core().read_model(next(iter(entries)) / "openvino_model.xml")


async def test_sequences_beyond_the_cache_wait_and_keep_their_tokens(small_family: Family, tmp_path: Path) -> None:
    """Two sequences of 258 tokens, and room for 384."""
    model, options = small_family.engine_model, EngineOptions("f32", threads=1, max_batch=2, cache_directory=tmp_path)
    room = Room(sequences=2, blocks=12)
    pipeline = open_pipeline(openvino_ir(model, "f32", tmp_path), options, room)
    engine = SteppedEngine(model, OpenVinoStepper(pipeline, room))

    async def drawn(seed: int) -> list[int]:
        sampling = ResolvedSampling(max_tokens=250, min_tokens=250, seed=seed)
        chunks = engine.generate(model.allowed[:8], sampling, small_family.stop_ids)
        return [token async for chunk in chunks for token in chunk]

    alone = [await drawn(seed) for seed in range(2)]
    together = await asyncio.gather(*map(drawn, range(2)))
    assert together == alone
    await engine.close()
