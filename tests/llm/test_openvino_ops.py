"""Our own operation against numpy. In a whole model: test_openvino.py."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray
from openvino import opset13 as ops

from services.llm.engines.openvino_layers import LayerWeights
from services.llm.engines.openvino_ops.int8_layers import Int8Layers
from services.llm.engines.openvino_ops.library import lanes, use_threads
from services.llm.engines.openvino_precision import int8_rows
from services.llm.families.family import Family

Floats = NDArray[np.float32]
GROUP = 32


@pytest.fixture(scope="module")
def weights(small_family: Family) -> LayerWeights:
    return LayerWeights.read(small_family.engine_model)


@pytest.fixture(scope="module", params=[16, 8])
def layers(request: pytest.FixtureRequest, operations: Path, weights: LayerWeights) -> Int8Layers:
    if not lanes(operations, request.param):
        pytest.skip(f"this CPU has no vectors of {request.param}")
    return Int8Layers(weights, operations, request.param)


def run(layers: Int8Layers, layer: int, inputs: Sequence[Floats], threads: int = 1) -> list[Floats]:
    """`leave` of a layer for inputs [B, S, D], attended and hidden; `project` for hidden alone."""
    parameters = [ops.parameter([-1, -1, each.shape[-1]], np.float32) for each in inputs]
    if len(parameters) == 1:
        outputs = layers.project(layer, parameters[0])
    else:
        hidden, projections = layers.leave(layer, parameters[0], parameters[1])
        outputs = [hidden, *projections]
    model = ov.Model([ops.result(each) for each in outputs], parameters)
    properties = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    request = ov.Core().compile_model(model, "CPU", properties).create_infer_request()
    return [np.array(each) for each in request.infer(list(inputs)).values()]


def rounded(values: Floats) -> NDArray[np.float64]:
    """As 8 bits keep them, in groups along the last axis."""
    groups = values.reshape(*values.shape[:-1], -1, GROUP).astype(np.float64)
    scales = np.abs(groups).max(-1, keepdims=True) / 127
    return (np.rint(groups / np.where(scales == 0, 1, scales)) * scales).reshape(values.shape)


def product(values: Floats, matrix: Floats, bias: Floats | None = None) -> Floats:
    rows, scales = int8_rows(matrix)
    result = rounded(values) @ (rows * scales.astype(np.float64)).T
    return (result if bias is None else result + bias).astype(np.float32)


def normed(values: Floats, weight: Floats, epsilon: float) -> Floats:
    result: Floats = values / np.sqrt((values**2).mean(-1, keepdims=True) + np.float32(epsilon)) * weight
    return result


def expected(weights: LayerWeights, layer: int, attended: Floats, hidden: Floats) -> list[Floats]:
    epsilon = weights.config.rms_norm_eps
    hidden = hidden + product(attended, *weights.linear(layer, "self_attn.o_proj"))
    middle = normed(hidden, weights.mlp_norm(layer), epsilon)
    gate, up = (product(middle, *weights.linear(layer, f"mlp.{part}_proj")) for part in ("gate", "up"))
    hidden = hidden + product(gate / (1 + np.exp(-gate)) * up, *weights.linear(layer, "mlp.down_proj"))
    return [hidden] if weights.last(layer) else [hidden, *projected(weights, layer + 1, hidden)]


def projected(weights: LayerWeights, layer: int, hidden: Floats) -> list[Floats]:
    value = normed(hidden, weights.attention_norm(layer), weights.config.rms_norm_eps)
    return [product(value, *each) for each in weights.projections(layer)]


def thrown(weights: LayerWeights, rows: int, seed: int = 0) -> tuple[Floats, Floats]:
    """attended and hidden, [1, S, D]."""
    dice = np.random.default_rng(seed)
    config = weights.config
    attended = dice.normal(size=(1, rows, config.num_attention_heads * config.head_size))
    return attended.astype(np.float32), dice.normal(size=(1, rows, config.hidden_size)).astype(np.float32)


def close(found: Sequence[Floats], wanted: Sequence[Floats], share: float) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, atol=share * float(np.abs(other).max()))


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 9])
def test_projections_are_those_of_numpy(layers: Int8Layers, rows: int) -> None:
    _, hidden = thrown(layers.weights, rows)
    for layer in (0, layers.weights.config.num_hidden_layers):
        close(run(layers, layer, [hidden]), projected(layers.weights, layer, hidden), 1e-5)


@pytest.mark.parametrize("layer", [0, -1])
def test_a_layer_is_that_of_numpy(layers: Int8Layers, layer: int) -> None:
    """What is rounded twice may be rounded to the neighbour, once in a while."""
    layer %= layers.weights.config.num_hidden_layers
    attended, hidden = thrown(layers.weights, 7)
    close(run(layers, layer, [attended, hidden]), expected(layers.weights, layer, attended, hidden), 5e-3)


def test_a_token_is_the_same_in_any_batch_and_with_any_threads(layers: Int8Layers) -> None:
    attended, hidden = thrown(layers.weights, 11)
    together = run(layers, 0, [attended, hidden])
    for rows in (1, 4, 7):
        alone = run(layers, 0, [attended[:, :rows], hidden[:, :rows]], threads=2)
        for one, all_rows in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one, all_rows[:, :rows])


def test_threads_of_its_own_change_no_bit(layers: Int8Layers) -> None:
    inputs = thrown(layers.weights, 11)
    one_thread = run(layers, 0, inputs)
    use_threads(layers.library, 2)
    try:
        two = run(layers, 0, inputs)
    finally:
        use_threads(layers.library, 0)
    for one, other in zip(one_thread, two, strict=True):
        np.testing.assert_array_equal(one, other)


def test_silence_stays_silent(layers: Int8Layers) -> None:
    """A group of zeros has no scale."""
    attended, hidden = (np.zeros_like(each) for each in thrown(layers.weights, 2))
    close(run(layers, 0, [attended, hidden]), expected(layers.weights, 0, attended, hidden), 1e-5)
