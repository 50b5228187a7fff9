"""The detokenizer alone: how many operations a second of audio takes, and how long it takes."""

import time
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
    with FlopCounterMode(display=False) as counter:
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
