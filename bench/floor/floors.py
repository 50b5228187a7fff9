"""What the machine could do at best, beside what the stages do."""

from collections.abc import Mapping
from pathlib import Path

from bench.floor.detokenizer import detokenizer_cost
from bench.floor.llm import llm_speed
from bench.floor.speed import memory_bandwidth, peak_flops

_FEW, _MANY = 1, 8


def floors(model: Path, tokens: int, cpu: Mapping[str, float]) -> dict[str, float]:
    """`tokens` that each sequence of the LLM draws; `cpu`: CPU-seconds per audio-second of the running stages."""
    bandwidth, flops = memory_bandwidth(), peak_flops()
    llm, detokenizer = llm_speed(model, (_FEW, _MANY), tokens), detokenizer_cost(model)
    most_tokens, least_seconds = bandwidth / llm.weight_bytes, detokenizer.flops / flops
    return {
        "memory read by one thread, GB/s": bandwidth / 1e9,
        "matrix product on one thread, fp32 GFLOP/s": flops / 1e9,
        "llm: weights read for a token, MB": llm.weight_bytes / 1e6,
        "llm: tokens/s that the memory allows at 1 sequence": most_tokens,
        "llm: tokens/s at 1 sequence": llm.tokens[_FEW],
        "llm: share of what the memory allows": llm.tokens[_FEW] / most_tokens,
        "llm: tokens/s at 8 sequences": llm.tokens[_MANY],
        "llm: tokens/s at 8 sequences over that at 1": llm.tokens[_MANY] / llm.tokens[_FEW],
        "detokenizer: GFLOP per audio-s": detokenizer.flops / 1e9,
        "detokenizer: CPU-s per audio-s at that peak": least_seconds,
        "detokenizer: CPU-s per audio-s, whole utterances": detokenizer.seconds,
        "detokenizer: share of the peak, whole utterances": least_seconds / detokenizer.seconds,
        "detokenizer: CPU-s per audio-s, running": cpu["detokenizer"],
        "detokenizer: share of the peak, running": least_seconds / cpu["detokenizer"],
    }
