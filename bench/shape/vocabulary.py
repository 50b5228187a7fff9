"""The tokens of a random checkpoint: the published ones in their order, behind the letters of the bundled voice.

The bundled tokenizer makes a token of each letter, the published one of each word or so: prompts are longer here.
"""

import json
import math
from collections.abc import Iterator
from typing import Any

from bench.shape.shape import Shape
from services.cli.model import BUNDLED

END = "<|im_end|>"
# Of Qwen2.5, which Spark-TTS has no use for.
_RESERVED = 19
_ATTRIBUTES = {
    "pitch_value": 1001,
    "pitch_var_value": 11,
    "pitch_label": 5,
    "pitch_var_label": 5,
    "speed_value": 11,
    "speed_label": 5,
    "loudness_value": 31,
    "loudness_label": 5,
    "age": 5,
    "gender": 3,
    "emotion": 101,
}
# "unused" stands for "controllable_tts": random weights design no voice, so they must not say that they can.
_TASKS = ("vc", "tts", "asr", "s2s", "t2s", "cap", "understand", "unused", "prompt_tts", "edit")
_PARTS = ("content", "style_label", "style_prompt", "acoustic_token", "global_token", "semantic_token")


def added_tokens(shape: Shape) -> dict[str, int]:
    """Id of every token beyond text."""
    return {name: shape.first_added + place for place, name in enumerate(_names(shape))}


def semantic_ids(shape: Shape) -> list[int]:
    return [token for name, token in added_tokens(shape).items() if name.startswith("<|bicodec_semantic_")]


def tokenizer(shape: Shape) -> str:
    """tokenizer.json."""
    description: dict[str, Any] = json.loads((BUNDLED / "LLM/tokenizer.json").read_text("utf-8"))
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    added = [{"id": token, "content": name, **flags} for name, token in added_tokens(shape).items()]
    return json.dumps({**description, "added_tokens": added})


def _names(shape: Shape) -> Iterator[str]:
    yield from ("<|endoftext|>", "<|im_start|>", END)
    yield from (f"<|reserved_{number}|>" for number in range(_RESERVED))
    counts = {
        "bicodec_global": math.prod(shape.codec["speaker_encoder"]["fsq_levels"]),
        "bicodec_semantic": shape.codec["quantizer"]["codebook_size"],
        **_ATTRIBUTES,
    }
    yield from (f"<|{name}_{number}|>" for name, count in counts.items() for number in range(count))
    yield from (f"<|task_{task}|>" for task in _TASKS)
    yield from (f"<|{end}_{part}|>" for end in ("start", "end") for part in _PARTS)
