"""Convolutions over `Frames`, with plain weights under the checkpoint's names (`weight`, `bias`)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from services.codec.families.spark.layers.cpu import Cpu
from services.codec.families.spark.layers.cpu.convolution import Convolution, Depthwise, phases
from services.codec.families.spark.layers.frames import Frames
from services.codec.families.spark.layers.snake import Snake
from services.codec.families.spark.layers.windows import Crop, Window


@dataclass(slots=True)
class Tally:
    """Output columns that a layer has computed so far, the padding of ragged batches included."""

    columns: int = 0


class Conv1d(nn.Module):
    """A 'same' convolution, odd kernel, stride 1: C_in -> C_out channels, as many frames out as in.

    `rate`: output columns per token at this depth of the model.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, dilation: int = 1, groups: int = 1, rate: int = 1
    ) -> None:
        super().__init__()
        assert kernel % 2 == 1
        self.weight = nn.Parameter(torch.empty(outputs, inputs // groups, kernel), requires_grad=False)
        self.bias = nn.Parameter(torch.empty(outputs), requires_grad=False)
        self.dilation, self.groups, self.rate = dilation, groups, rate
        self.padding = (kernel - 1) * dilation // 2
        self.window = Window(inputs, span=2 * self.padding, lead=self.padding, tail=self.padding)
        self.tally = Tally()
        self.weight_count = self.weight.numel()
        self._compiled: Convolution | Depthwise | None = None

    def compile_for(self, cpu: Cpu, dtype: torch.dtype | None = None) -> None:
        """For good: computes on columns that `cpu` has joined. `dtype`: of the products, if not the CPU's."""
        if self.groups > 1:
            assert (self.dilation, self.groups) == (1, self.weight.shape[0])
            self._compiled = cpu.depthwise(self.weight, self.bias)
        else:
            self._compiled = cpu.convolution(self.weight, self.bias, self.dilation, dtype)
        self.window.dtype = self._compiled.dtype
        self.weight = _fixed(self.weight.new_empty(0))

    def forward(self, frames: Frames, snake: Snake | None = None) -> Frames:
        """With `snake`, of the Snake of the frames."""
        joined: Frames = self.window(frames, snake)
        return joined.to(self.convolve(joined.x))

    def convolve(self, x: Tensor) -> Tensor:
        """Joined columns [B, C_in, F + 2 padding] -> [B, C_out, F]."""
        if not x.shape[2]:
            return x.new_zeros(x.shape[0], len(self.bias), 0)
        if self._compiled:
            y = self._compiled(x)
        else:
            y = F.conv1d(x, self.weight, self.bias, dilation=self.dilation, groups=self.groups)
        self.tally.columns += y.shape[0] * y.shape[2]
        return y


class ConvTranspose1d(nn.Module):
    """An upsampling convolution with padding (kernel - stride) / 2: `stride` columns out per column in.

    Streams give out a column as soon as it is determined, so the look-ahead is `padding` output columns.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, *, rate: int = 1) -> None:
        super().__init__()
        assert kernel >= stride
        assert (kernel - stride) % 2 == 0
        self.weight = nn.Parameter(torch.empty(inputs, outputs, kernel), requires_grad=False)
        self.bias = nn.Parameter(torch.empty(outputs), requires_grad=False)
        self.stride, self.rate = stride, rate * stride
        self.padding = (kernel - stride) // 2
        blocks = -(-self.padding // stride)
        overlap = (kernel - 1) // stride
        self.window = Window(inputs, span=overlap, lead=overlap, tail=blocks)
        self.crop = Crop(self.padding, blocks * stride - self.padding)
        # Of the untrimmed result: from the first new input's first column on, as far as no later input reaches.
        self._trim = overlap * stride
        self._extra = (overlap + 1) * stride - kernel
        self.tally = Tally()
        self.weight_count = self.weight.numel()
        self._compiled: Convolution | None = None

    def compile_for(self, cpu: Cpu) -> None:
        """As Conv1d's."""
        self._compiled = cpu.convolution(phases(self.weight, self.stride), self.bias.repeat(self.stride))
        self.window.dtype = self._compiled.dtype
        self.weight = _fixed(self.weight.new_empty(0))

    def forward(self, frames: Frames, snake: Snake | None = None) -> Frames:
        """As Conv1d's."""
        joined: Frames = self.window(frames, snake)
        lengths, guessed = ([self.stride * columns for columns in row] for row in (joined.lengths, joined.guessed))
        cropped: Frames = self.crop(Frames(self.convolve(joined.x), lengths, guessed, joined.feed))
        return cropped

    def convolve(self, x: Tensor) -> Tensor:
        """Joined columns [B, C_in, F + overlap] -> [B, C_out, F * stride]."""
        if not x.shape[2]:
            return x.new_zeros(x.shape[0], len(self.bias), 0)
        if self._compiled:
            columns = self._compiled(x).transpose(1, 2)
            y = columns.reshape(x.shape[0], -1, len(self.bias)).transpose(1, 2)
        else:
            y = F.conv_transpose1d(x, self.weight, self.bias, self.stride, self._trim, self._extra)
        self.tally.columns += y.shape[0] * y.shape[2]
        return y


def _fixed(weight: Tensor) -> nn.Parameter:
    return nn.Parameter(weight, requires_grad=False)


def convolutions(module: nn.Module) -> list[Conv1d | ConvTranspose1d]:
    return [layer for layer in module.modules() if isinstance(layer, Conv1d | ConvTranspose1d)]


def reach(module: nn.Module) -> Fraction:
    """Tokens that a chain of convolutions looks to either side."""
    return sum((Fraction(layer.padding, layer.rate) for layer in convolutions(module)), Fraction(0))


def multiply_adds(module: nn.Module) -> int:
    """Per token, of the convolutions."""
    return sum(_column_cost(layer) * layer.rate for layer in convolutions(module))


def computed(module: nn.Module) -> Fraction:
    """Tokens' worth of columns that the convolutions of a module have computed so far, each weighted by its cost."""
    done = sum(_column_cost(layer) * layer.tally.columns for layer in convolutions(module))
    return Fraction(done, multiply_adds(module))


def reset_computed(module: nn.Module) -> None:
    for layer in convolutions(module):
        layer.tally.columns = 0


def _column_cost(layer: Conv1d | ConvTranspose1d) -> int:
    return layer.weight_count // (layer.stride if isinstance(layer, ConvTranspose1d) else 1)
