"""Joining columns, in one pass over memory: see columns.h.

Columns are tensors [B, C, F] whose channels lie side by side in memory, column after column.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm

import torch
from torch import Tensor

from services.codec.families.spark.layers.cpu.library import Library, numbers

# Values in a vector register, at most.
_LANES = 32
# Columns that a convolution's tile may read behind the last one, whatever they hold.
_BEHIND = 15


class _Pattern(ctypes.Structure):
    _fields_ = (("alpha", ctypes.c_void_p), ("inverse", ctypes.c_void_p), ("period", ctypes.c_int64))


class SnakePattern:
    """Alpha [C] and its inverse as the operations want them: over and over, up to a multiple of a vector's length."""

    def __init__(self, alpha: Tensor, inverse: Tensor) -> None:
        times = lcm(len(alpha), _LANES) // len(alpha)
        self._alive = tuple(values.to(torch.float32).repeat(times) for values in (alpha, inverse))
        alphas, inverses = self._alive
        self.struct = _Pattern(alphas.data_ptr(), inverses.data_ptr(), len(alphas))


_PLAIN = _Pattern(None, None, 0)


@dataclass(frozen=True, slots=True)
class Row:
    """How a row's columns are joined: `held` that its stream has kept, `fresh` ones, `tail` zeros; of the columns
    before `settled` the last `kept` are what the stream keeps.
    """

    held: int
    fresh: int
    tail: int
    settled: int
    kept: int

    @property
    def total(self) -> int:
        return self.held + self.fresh + self.tail


@dataclass(frozen=True, slots=True)
class Place:
    """Where a layer keeps its columns [span, channels]: `offset` bytes behind the start of a stream's state."""

    channels: int
    span: int
    offset: int


class States:
    """The states of the streams of one forward, a row each."""

    def __init__(self, states: Sequence[Tensor]) -> None:
        self._alive = states
        self.pointers = numbers(*(state.data_ptr() for state in states))


class Columns:
    """`threads` of the CPU; a row is never divided among them."""

    def __init__(self, library: Library, threads: int) -> None:
        self._threads = threads
        names = {torch.float32: "join_f32", torch.bfloat16: "join_bf16"}
        self._join = {dtype: library.function(name, 6) for dtype, name in names.items()}
        self._add = library.function("add", 5)

    def join(
        self,
        x: Tensor,
        rows: Sequence[Row],
        place: Place,
        states: States,
        dtype: torch.dtype,
        snake: SnakePattern | None = None,
    ) -> Tensor:
        """New columns, float32, behind what the streams have kept: [B, C, the most that a row has] of `dtype`, zeros
        behind a row's end. Snake is applied to the new ones. The states keep what `rows` say; one row stands for all if
        there is only one.
        """
        x, geometry, width = side_by_side(x), _geometry(rows), max(row.total for row in rows)
        out = room(x.shape[0] * width, place.channels, dtype).view(x.shape[0], width, place.channels)
        batch = self._batch(x, rows, place, width, dtype.itemsize)
        pattern = _PLAIN if snake is None else snake.struct
        self._join[dtype](batch, geometry, x.data_ptr(), states.pointers, out.data_ptr(), ctypes.byref(pattern))
        return out.transpose(1, 2)

    def add(self, out: Tensor, x: Tensor, rows: Sequence[Row], place: Place, states: States) -> None:
        """As `join`, but the first columns of each row are added to `out` [B, C, F], without gaps between rows."""
        x, geometry = side_by_side(x), _geometry(rows)
        batch = self._batch(x, rows, place, out.shape[2], torch.float32.itemsize)
        self._add(batch, geometry, x.data_ptr(), states.pointers, out.data_ptr())

    def _batch(
        self, x: Tensor, rows: Sequence[Row], place: Place, width: int, size: int
    ) -> ctypes.Array[ctypes.c_int64]:
        sizes = (x.shape[0], len(rows) == 1, place.channels, place.span, width)
        return numbers(*sizes, x.stride(0), place.offset // size, self._threads)


def room(columns: int, channels: int, dtype: torch.dtype) -> Tensor:
    """[columns, channels], not filled, with room behind for what a tile may read."""
    return torch.empty(columns + _BEHIND, channels, dtype=dtype)[:columns]


def side_by_side(x: Tensor) -> Tensor:
    """The same columns with their channels next to one another; rows may lie apart."""
    if x.stride(1) == 1 and x.stride(2) == x.shape[1]:
        return x
    return x.transpose(1, 2).contiguous().transpose(1, 2)


def _geometry(rows: Sequence[Row]) -> ctypes.Array[ctypes.c_int64]:
    return numbers(*(value for row in rows for value in (row.held, row.fresh, row.tail, row.settled, row.kept)))
