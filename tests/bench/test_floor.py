"""What the floors are made of; the figures themselves are the machine's."""

from pathlib import Path
from typing import get_args

import torch

from bench.floor.detokenizer import decoding_flops
from bench.floor.llm import WEIGHT_BYTES, weight_bytes
from bench.floor.speed import memory_bandwidth, peak_flops
from services.codec.families.spark.decoder import SparkDetokenizer
from services.codec.families.spark.layers.convolution import multiply_adds
from services.llm.families import load_family
from services.llm.settings import LlmSettings

TINY = Path(__file__).parents[1] / "parity" / "spark-tiny" / "model"


def test_no_convolution_escapes_the_count() -> None:
    """Two for each multiplication with its addition; more for the linear maps."""
    detokenizer = SparkDetokenizer.load(TINY)
    convolutions = 2 * (multiply_adds(detokenizer.prenet) + multiply_adds(detokenizer.generator))
    assert convolutions < (decoding_flops(TINY, 300) - decoding_flops(TINY, 200)) / 100 < 3 * convolutions


def test_step_of_the_llm_reads_all_but_the_embeddings_that_are_not_drawn() -> None:
    model = load_family("spark", TINY).engine_model
    file_bytes = sum(path.stat().st_size for path in model.directory.glob("*.safetensors"))
    assert 0.5 * file_bytes < weight_bytes(model, "f32") < file_bytes
    assert weight_bytes(model, "bf16") == weight_bytes(model, "f32") / 2


def test_every_precision_has_a_size() -> None:
    choices = get_args(LlmSettings.model_fields["precision"].annotation)
    assert WEIGHT_BYTES.keys() == set(choices) - {"auto"}


def test_machine_has_a_speed() -> None:
    assert memory_bandwidth(size=2**20) > 0
    for dtype in (torch.float32, torch.bfloat16):
        assert peak_flops(dtype, side=64) > 0
