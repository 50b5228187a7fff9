"""The compiled functions, and what of this CPU they use."""

from __future__ import annotations

import ctypes
from enum import IntEnum
from pathlib import Path

from services.llm.engines.cpu.source import SOURCE
from services.runtime.compiled import loaded

_POINTER, _INT = ctypes.c_void_p, ctypes.c_int64


class Kind(IntEnum):
    """Instructions, as in qwen2.cpp."""

    BEST = 0
    AVX2 = 1
    AVX_VNNI = 2
    AVX512_VNNI = 3
    NEON = 4
    NEON_DOT = 5


class Shape(ctypes.Structure):
    """Of a model: see qwen2.cpp."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("layers", "width", "heads", "key_heads", "head", "middle")),
        *((name, ctypes.c_int64) for name in ("vocabulary", "drawable", "threads", "kind")),
        *((name, ctypes.c_double) for name in ("epsilon", "theta")),
    )


class Sampling(ctypes.Structure):
    """See services/llm/sampling.py."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("max_tokens", "min_tokens", "top_k")),
        *((name, ctypes.c_double) for name in ("temperature", "top_p", "repetition_penalty")),
        ("seed", ctypes.c_uint64),
    )


class Library:
    """The functions of qwen2.cpp. Python's interpreter is free while they run."""

    def __init__(self, functions: ctypes.CDLL) -> None:
        def function(name: str, result: type | None, *arguments: type) -> ctypes._NamedFuncPointer:
            found = functions[f"voxline_{name}"]
            found.restype, found.argtypes = result, arguments
            return found

        self.kind = function("kind", _INT, _INT)
        self.model = function("model", _POINTER, _POINTER, _POINTER, _POINTER, _POINTER, _POINTER)
        self.open = function("open", _POINTER, _POINTER, _POINTER, _POINTER, _INT, _INT, _POINTER, _INT)
        self.step = function("step", None, _POINTER, _POINTER, _INT, _INT, _POINTER)
        self.logits = function("logits", _POINTER, _POINTER)
        self.close = function("close", None, _POINTER)
        self.free = function("free", None, _POINTER)

    @classmethod
    def load(cls, cache: Path) -> Library | None:
        """Compiled at first; None where that cannot be done, or the CPU lacks the instructions."""
        functions = loaded(SOURCE, cache)
        if functions is None:
            return None
        library = cls(functions)
        return library if library.kind(Kind.BEST) > 0 else None
