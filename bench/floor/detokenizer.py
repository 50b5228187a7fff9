"""The detokenizer alone: how many operations a second of audio takes, and how long it takes."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from services.codec.families.spark.decoder import SparkDetokenizer

_FRAMES = 200
_TRIES = 3


@dataclass(frozen=True)
class Cost:
    """Of a second of audio, a whole utterance at a time: operations (an addition is one) and seconds of one thread;
    `dtype`: of the products.
    """

    flops: float
    seconds: float
    dtype: torch.dtype


def decoding_flops(model: Path, frames: int) -> int:
    """Of an utterance: its convolutions and products of matrices, which is nearly all."""
    # Only torch's own operators are counted.
    detokenizer = SparkDetokenizer.load(model, cache=None)
    with FlopCounterMode(display=False, custom_mapping=_onednn()) as counter:
        detokenizer.decode(*_utterance(detokenizer, frames))
    return int(counter.get_total_flops())


def detokenizer_cost(model: Path, frames: int = _FRAMES) -> Cost:
    torch.set_num_threads(1)
    detokenizer = SparkDetokenizer.load(model)
    audio = frames / detokenizer.frame_rate
    flops = decoding_flops(model, frames)
    return Cost(flops / audio, min(_seconds(detokenizer, frames) for _ in range(_TRIES)) / audio, detokenizer.dtype)


def _seconds(detokenizer: SparkDetokenizer, frames: int) -> float:
    begun = time.thread_time()
    detokenizer.decode(*_utterance(detokenizer, frames))
    return time.thread_time() - begun


def _utterance(detokenizer: SparkDetokenizer, frames: int) -> tuple[list[int], list[int]]:
    """Global tokens and codes."""
    return [0] * detokenizer.global_token_count, [place % detokenizer.codebook_size for place in range(frames)]


def _onednn() -> dict[object, Callable[..., int]]:
    """Convolutions that torch's counter does not know, where torch has them."""
    known = {
        "aten": {"mkldnn_convolution": _convolution},
        "mkldnn": {"_convolution_pointwise": _convolution, "_convolution_transpose_pointwise": _transposed},
    }
    libraries = {name: getattr(torch.ops, name) for name in known}
    return {
        getattr(libraries[library], name): count
        for library, operators in known.items()
        for name, count in operators.items()
        if hasattr(libraries[library], name)
    }


Shape = Sequence[int]


def _convolution(x: Shape, weight: Shape, *_: object, out_shape: Shape, **__: object) -> int:
    """weight [O, I / groups, *K]; out_shape [B, O, *F]."""
    return 2 * math.prod(out_shape) * math.prod(weight[1:])


def _transposed(x: Shape, weight: Shape, *_: object, **__: object) -> int:
    """x [B, I, *F], weight [I, O / groups, *K]."""
    return 2 * math.prod(x) * math.prod(weight[1:])
