"""What the machine could do at best, beside what the stages do."""

from collections.abc import Mapping
from pathlib import Path

from bench.floor.detokenizer import detokenizer_cost
from bench.floor.llm import llm_speed
from bench.floor.speed import peak_flops

_SEQUENCES = 8


def floors(model: Path, tokens: int, cpu: Mapping[str, float]) -> dict[str, float]:
    """`tokens` that each sequence of the LLM draws; `cpu`: CPU-seconds per audio-second of the running stages."""
    llm, detokenizer = llm_speed(model, _SEQUENCES, tokens), detokenizer_cost(model)
    flops, type_name = peak_flops(detokenizer.dtype), str(detokenizer.dtype).removeprefix("torch.")
    one, several, least_seconds = llm.tokens[1], llm.tokens[_SEQUENCES], detokenizer.flops / flops
    return {
        "memory read by one thread, GB/s": llm.bandwidth / 1e9,
        f"matrix product on one thread, {type_name} GFLOP/s": flops / 1e9,
        "llm: weights read for a token, MB": llm.weight_bytes / 1e6,
        "llm: tokens/s that the memory allows at 1 sequence": llm.bandwidth / llm.weight_bytes,
        "llm: tokens/s at 1 sequence": one,
        "llm: share of what the memory allows": llm.share,
        f"llm: tokens/s at {_SEQUENCES} sequences": several,
        f"llm: tokens/s at {_SEQUENCES} sequences over that at 1": several / one,
        "detokenizer: GFLOP per audio-s": detokenizer.flops / 1e9,
        "detokenizer: CPU-s per audio-s at that peak": least_seconds,
        "detokenizer: CPU-s per audio-s, whole utterances": detokenizer.seconds,
        "detokenizer: share of the peak, whole utterances": least_seconds / detokenizer.seconds,
        "detokenizer: CPU-s per audio-s, running": cpu["detokenizer"],
        "detokenizer: share of the peak, running": least_seconds / cpu["detokenizer"],
    }
