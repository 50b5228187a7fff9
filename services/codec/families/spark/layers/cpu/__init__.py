"""What the decoder computes on a CPU, in C++, so that a stream's samples depend on nothing but its codes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from services.codec.families.spark.layers.cpu.columns import Columns
from services.codec.families.spark.layers.cpu.convolution import Convolution, Depthwise
from services.codec.families.spark.layers.cpu.library import Library

Precision = Literal["auto", "f32", "bf16"]


class Cpu:
    """`threads` of this CPU; `dtype`: of the products."""

    def __init__(self, library: Library, threads: int, dtype: torch.dtype) -> None:
        self.columns = Columns(library, threads)
        self.dtype = dtype
        self._library, self._threads = library, threads

    @classmethod
    def load(cls, cache: Path, threads: int, precision: Precision) -> Cpu | None:
        """`auto`: bf16 where that is faster. None where nothing can be compiled or the CPU has no vectors, and torch's
        operators must do. ValueError for a precision that this CPU lacks.
        """
        library = Library.load(cache)
        halves = library is not None and torch.bfloat16 in library.kinds
        if precision == "bf16" and not halves:
            raise ValueError("bf16 needs g++, and a CPU that multiplies faster in it: AMX, or AMD's AVX-512.")
        if library is None:
            return None
        return cls(library, threads, torch.bfloat16 if halves and precision != "f32" else torch.float32)

    def convolution(
        self, weight: Tensor, bias: Tensor, dilation: int = 1, dtype: torch.dtype | None = None
    ) -> Convolution:
        """weight [O, I, K], bias [O]."""
        return Convolution(self._library, self._threads, weight, bias, dtype=dtype or self.dtype, dilation=dilation)

    def depthwise(self, weight: Tensor, bias: Tensor) -> Depthwise:
        """weight [C, 1, K], bias [C]."""
        return Depthwise(self._library, self._threads, weight, bias)
