"""Records what both C++ programs compute on x86 with AVX2, as `check.cpp` reads it: `python tests/native/record.py`.

Anew only with what they compute on purpose: what runs elsewhere is compared with it.
"""

import ctypes
import json
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from services.codec.families.spark.layers.cpu import library as codec
from services.codec.families.spark.layers.cpu.convolution import _panels, phases
from services.llm.engines.cpu import library as llm
from services.llm.engines.cpu.stepper import CpuStepper, Room, _sampling, _shape
from services.llm.engines.cpu.weights import packed
from services.llm.engines.engine import EngineModel
from services.llm.engines.stepper import Job
from services.llm.sampling import Sampling
from services.runtime.compiled import CACHE

RECORDING = Path(__file__).with_name("recorded.bin")
_LLM, _CONVOLVE, _DEPTHWISE, _JOIN_F32, _JOIN_BF16, _ADD = range(1, 7)
# Rows, columns of output, inputs, outputs, taps, dilation: panels and tiles that are full, and such as are not.
_CONVOLUTIONS = [(2, 29, 16, 24, 3, 2), (1, 5, 10, 3, 2, 1), (3, 1, 4, 8, 1, 1), (1, 13, 6, 40, 2, 3)]
_CONFIG = {
    "model_type": "qwen2",
    "vocab_size": 120,
    "max_position_embeddings": 512,
    "eos_token_id": 119,
    "hidden_size": 96,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
}
_RANDOM = np.random.default_rng(1)


class Recorder:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def number(self, value: int) -> None:
        self._file.write(struct.pack("<q", value))

    def put(self, *values: NDArray[np.generic] | bytes) -> None:
        for each in values:
            content = each if isinstance(each, bytes) else np.ascontiguousarray(each).tobytes()
            self.number(len(content))
            self._file.write(content)


def noise(*shape: int) -> NDArray[np.float32]:
    return _RANDOM.standard_normal(shape).astype(np.float32)


def integers(values: Sequence[int]) -> NDArray[np.int64]:
    return np.array(values, np.int64)


def checkpoint(folder: Path) -> EngineModel:
    """Random weights."""
    width, middle, heads, keys = 96, 96, 96, 32
    tensors = {"model.embed_tokens.weight": noise(120, width), "model.norm.weight": 1 + 0.1 * noise(width)}
    tensors["lm_head.weight"] = noise(120, width) / 8
    shapes = {
        "self_attn.q_proj": (heads, width),
        "self_attn.k_proj": (keys, width),
        "self_attn.v_proj": (keys, width),
        "self_attn.o_proj": (width, heads),
        "mlp.gate_proj": (middle, width),
        "mlp.up_proj": (middle, width),
        "mlp.down_proj": (width, middle),
    }
    for layer in range(2):
        for name, (outputs, inputs) in shapes.items():
            tensors[f"model.layers.{layer}.{name}.weight"] = noise(outputs, inputs) / inputs**0.5
        for name in ("q_proj", "k_proj", "v_proj"):
            bias = noise(shapes[f"self_attn.{name}"][0]) / 4
            tensors[f"model.layers.{layer}.self_attn.{name}.bias"] = bias
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"model.layers.{layer}.{name}.weight"] = 1 + 0.1 * noise(width)
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(_CONFIG))
    return EngineModel(folder, 120, 512, tuple(range(30, 120)))


def jobs() -> list[Job]:
    prompts = [tuple(map(int, _RANDOM.integers(0, 120, count))) for count in (1, 9, 40)]
    greedy, penal = {"temperature": 0.0}, {"repetition_penalty": 1.2}
    return [
        Job(0, prompts[0], Sampling(max_tokens=12, seed=0, **greedy), frozenset()),
        Job(1, prompts[2], Sampling(max_tokens=12, seed=0, **greedy, **penal), frozenset()),
        Job(
            2,
            prompts[1],
            Sampling(max_tokens=12, min_tokens=12, seed=2**40 + 7, top_k=20, **penal),
            frozenset({31, 60}),
        ),
        Job(3, prompts[1], Sampling(max_tokens=12, seed=9), frozenset(), drawn=(40, 50, 60)),
    ]


def record_llm(recorder: Recorder, folder: Path) -> None:
    model, library = checkpoint(folder), llm.Library.load(CACHE)
    assert library is not None
    weights = packed(model, folder)
    stepper = CpuStepper(library, model, weights, 1, Room(8, 4096), llm.Kind.AVX2)
    recorder.number(_LLM)
    recorder.put(bytes(_shape(weights, len(model.allowed), 1, llm.Kind.AVX2)))
    recorder.put(weights.matrices, weights.embeddings, weights.scales, integers(model.allowed))
    asked = jobs()
    ids: dict[int, list[int]] = {job.ticket: [] for job in asked}
    logits: dict[int, list[NDArray[np.float32]]] = {job.ticket: [] for job in asked}
    for job in asked:
        stepper.submit(job)
    while any(len(ids[job.ticket]) < job.left for job in asked):
        drawn = list(stepper.step())
        flat = (ctypes.c_float * (len(drawn) * len(model.allowed))).from_address(stepper.logits())
        for item, row in zip(drawn, np.array(flat, np.float32).reshape(len(drawn), -1), strict=True):
            ids[item.ticket] += item.ids
            logits[item.ticket].append(row)
    recorder.number(len(asked))
    for job in asked:
        recorder.put(bytes(_sampling(job)), integers(job.prompt), integers(job.drawn), integers(sorted(job.stop_ids)))
        recorder.put(integers(ids[job.ticket]), np.stack(logits[job.ticket]))


def record_convolution(
    recorder: Recorder, library: codec.Library, weight: torch.Tensor, rows: int, columns: int, dilation: int
) -> None:
    outputs, inputs, taps = weight.shape
    panel = 8 if outputs <= 8 else 16
    # Behind the last column as much as a tile may read.
    x = noise(rows, columns + dilation * (taps - 1) + 15, inputs)
    panels = _panels(weight, panel, torch.float32).numpy()
    bias, out = noise(len(panels) * panel), np.zeros((rows, columns, outputs), np.float32)
    sizes = (rows, columns, inputs, outputs, taps, dilation, x[0].size, panel, codec.Kind.AVX2, 1)
    arrays = (x, panels, bias, out)
    library.function("convolve", 5)(codec.numbers(*sizes), *(each.ctypes.data for each in arrays))
    recorder.number(_CONVOLVE)
    recorder.put(integers(sizes), *arrays)


def record_depthwise(recorder: Recorder, library: codec.Library) -> None:
    rows, columns, channels, taps = 2, 11, 21, 7
    arrays = noise(rows, columns + taps - 1, channels), noise(taps, channels) / 3, noise(channels)
    out = np.zeros((rows, columns, channels), np.float32)
    sizes = (rows, columns, 1, channels, taps, 1, arrays[0][0].size, 0, 0, 1)
    library.function("depthwise", 5)(codec.numbers(*sizes), *(each.ctypes.data for each in (*arrays, out)))
    recorder.number(_DEPTHWISE)
    recorder.put(integers(sizes), *arrays, out)


def record_joined(recorder: Recorder, library: codec.Library, section: int) -> None:
    """Of two streams: one that has kept columns, and one at its beginning."""
    channels, span, width, period = 12, 6, 15, 96
    name = {_JOIN_F32: "join_f32", _JOIN_BF16: "join_bf16", _ADD: "add"}[section]
    rows = integers([4, 11, 0, 15, 6, 0, 9, 2, 9, 3])
    x = 4 * noise(2, 11, channels)
    batch = integers([2, 0, channels, span, width, x[0].size, 0, 1])
    alpha = np.tile(np.abs(noise(channels)) + 0.5, period // channels)
    states, out = [noise(span, channels) for _ in range(2)], noise(2, width, channels)
    values = [*states, out]
    if section == _JOIN_BF16:
        values = [(each.view(np.uint32) >> 16).astype(np.uint16) for each in values]
    before = [each.copy() for each in values]
    pattern = (ctypes.c_int64 * 3)(alpha.ctypes.data, (inverse := 1 / alpha).ctypes.data, period)
    pointers = codec.numbers(*(each.ctypes.data for each in values[:2]))
    given = (batch.ctypes.data, rows.ctypes.data, x.ctypes.data, pointers, values[2].ctypes.data)
    if section == _ADD:
        library.function(name, 5)(*given)
    else:
        library.function(name, 6)(*given, pattern)
    recorder.number(section)
    recorder.put(batch, rows, x, alpha, inverse, *before, *values)


def main() -> None:
    library = codec.Library.load(CACHE)
    assert library is not None
    with RECORDING.open("wb") as file, tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(file)
        record_llm(recorder, Path(folder))
        for rows, columns, inputs, outputs, taps, dilation in _CONVOLUTIONS:
            weight = torch.from_numpy(noise(outputs, inputs, taps) / (inputs * taps) ** 0.5)
            record_convolution(recorder, library, weight, rows, columns, dilation)
        transposed = torch.from_numpy(noise(8, 4, 11) / 4)
        record_convolution(recorder, library, phases(transposed, 5), 2, 17, 1)
        record_depthwise(recorder, library)
        for section in (_JOIN_F32, _JOIN_BF16, _ADD):
            record_joined(recorder, library, section)


if __name__ == "__main__":
    main()
