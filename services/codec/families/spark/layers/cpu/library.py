"""The compiled operations, and what of this CPU they use."""

from __future__ import annotations

import ctypes
from enum import IntEnum
from pathlib import Path

import torch

from services.codec.families.spark.layers.cpu.source import SOURCE
from services.runtime.compiled import loaded


class Kind(IntEnum):
    """Kernels of a convolution, as in convolution.h."""

    AVX2 = 1
    AVX512 = 2
    AVX512_BF16 = 3
    AMX_BF16 = 4
    NEON = 5


class Library:
    """The C functions by name; `kinds`: the best kernel for each type of inputs, if there is any."""

    def __init__(self, functions: ctypes.CDLL) -> None:
        self._functions = functions
        asked = self._functions["voxline_best_kind"]
        asked.argtypes, asked.restype = (ctypes.c_int64,), ctypes.c_int64
        found = {torch.float32: asked(0), torch.bfloat16: asked(1)}
        self.kinds = {dtype: Kind(kind) for dtype, kind in found.items() if kind}

    @classmethod
    def load(cls, cache: Path) -> Library | None:
        """Compiled at first; None where that cannot be done, or the CPU has no vectors."""
        functions = loaded(SOURCE, cache)
        if functions is None:
            return None
        library = cls(functions)
        return library if torch.float32 in library.kinds else None

    def function(self, name: str, pointers: int) -> ctypes._NamedFuncPointer:
        """Takes so many addresses, returns nothing."""
        function = self._functions[f"voxline_{name}"]
        function.argtypes, function.restype = (ctypes.c_void_p,) * pointers, None
        return function


def numbers(*values: int) -> ctypes.Array[ctypes.c_int64]:
    """What the functions take as a struct of integers."""
    return (ctypes.c_int64 * len(values))(*values)
