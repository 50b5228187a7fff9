"""Convolutions whose sums do not depend on what else is computed: see convolution.h."""

from __future__ import annotations

from math import ceil

import torch
from torch import Tensor

from services.codec.families.spark.layers.cpu.columns import room
from services.codec.families.spark.layers.cpu.library import Kind, Library, numbers

_HALVES = (Kind.AVX512_BF16, Kind.AMX_BF16)


class Convolution:
    """weight [O, I, K], bias [O]; `dtype`: of the products, whose sums are float32. Where this CPU has no kernel for it
    that would be faster, it is float32.
    """

    def __init__(
        self,
        library: Library,
        threads: int,
        weight: Tensor,
        bias: Tensor,
        *,
        dtype: torch.dtype = torch.float32,
        dilation: int = 1,
    ) -> None:
        self._outputs, self._inputs, self._taps = weight.shape
        self._dilation, self._threads = dilation, threads
        self._kind = _kind(library, dtype, self._inputs, self._outputs)
        self._panel = _panel(self._kind, self._outputs)
        self.dtype = torch.bfloat16 if self._kind in _HALVES else torch.float32
        self._weights = _panels(weight, self._panel, self.dtype)
        self._bias = torch.zeros(len(self._weights) * self._panel)
        self._bias[: self._outputs] = bias
        self._convolve = library.function("convolve", 5)

    def __call__(self, x: Tensor) -> Tensor:
        """x [B, I, F + dilation (K - 1)] of `dtype`, as `Columns.join` gives it -> float32 [B, O, F]."""
        columns = x.shape[2] - self._dilation * (self._taps - 1)
        out = torch.empty(x.shape[0], columns, self._outputs)
        sizes = (x.shape[0], columns, self._inputs, self._outputs, self._taps, self._dilation, x.stride(0))
        shape = numbers(*sizes, self._panel, self._kind, self._threads)
        self._convolve(shape, x.data_ptr(), self._weights.data_ptr(), self._bias.data_ptr(), out.data_ptr())
        return out.transpose(1, 2)

    def rows(self, x: Tensor) -> Tensor:
        """Of one tap: x [..., I] float32 -> [..., O]."""
        columns = room(x.numel() // self._inputs, self._inputs, self.dtype)
        columns.view(x.shape).copy_(x)
        return self(columns.T[None]).transpose(1, 2).view(*x.shape[:-1], self._outputs)


class Depthwise:
    """Each channel by itself: weight [C, 1, K], bias [C]. float32."""

    dtype = torch.float32

    def __init__(self, library: Library, threads: int, weight: Tensor, bias: Tensor) -> None:
        self._weights, self._bias, self._threads = weight[:, 0].T.contiguous(), bias, threads
        self._depthwise = library.function("depthwise", 5)

    def __call__(self, x: Tensor) -> Tensor:
        """x [B, C, F + K - 1], channels side by side -> [B, C, F]."""
        taps, channels = self._weights.shape
        columns = x.shape[2] - taps + 1
        out = torch.empty(x.shape[0], columns, channels)
        shape = numbers(x.shape[0], columns, 1, channels, taps, 1, x.stride(0), 0, 0, self._threads)
        self._depthwise(shape, x.data_ptr(), self._weights.data_ptr(), self._bias.data_ptr(), out.data_ptr())
        return out.transpose(1, 2)


def phases(weight: Tensor, stride: int) -> Tensor:
    """Of a transposed convolution [I, O, K] the plain one whose outputs are its `stride` next columns, [stride * O, I,
    ceil(K / stride)]: the same products for each input column, the newest input's tap last.
    """
    inputs, outputs, kernel = weight.shape
    taps = ceil(kernel / stride)
    full = weight.new_zeros(inputs, outputs, taps * stride)
    full[:, :, :kernel] = weight
    return full.view(inputs, outputs, taps, stride).flip(2).permute(3, 1, 0, 2).reshape(stride * outputs, inputs, taps)


def _kind(library: Library, dtype: torch.dtype, inputs: int, outputs: int) -> Kind:
    """A tile of AMX holds 32 inputs, or fewer if there are no more; other pairs make vectors of 16 outputs."""
    best = library.kinds.get(dtype, library.kinds[torch.float32])
    whole = inputs % 2 == 0 if best != Kind.AMX_BF16 or inputs < 32 else inputs % 32 == 0
    if best in _HALVES and not whole:
        best = library.kinds[torch.float32]
    return Kind.AVX2 if best == Kind.AVX512 and outputs <= 8 else best


def _panel(kind: Kind, outputs: int) -> int:
    """Outputs that are computed together: two vectors, or one where that is enough; of NEON's twice as many."""
    lanes = 8 if kind in (Kind.AVX2, Kind.NEON) else 16
    return lanes if outputs <= lanes else 2 * lanes


def _panels(weight: Tensor, panel: int, dtype: torch.dtype) -> Tensor:
    """[O / panel, K, I, panel], bfloat16 [O / panel, K, I / 2, panel, 2]."""
    outputs, inputs, taps = weight.shape
    count = ceil(outputs / panel)
    filled = torch.zeros(count * panel, inputs, taps)
    filled[:outputs] = weight
    panels = filled.view(count, panel, inputs, taps).permute(0, 3, 2, 1)
    if dtype == torch.bfloat16:
        panels = panels.reshape(count, taps, inputs // 2, 2, panel).transpose(3, 4)
    return panels.to(dtype).contiguous()
