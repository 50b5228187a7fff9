"""Ragged batches of frames, and the state that lets convolutions run chunk by chunk.

A stream's frames arrive in chunks of any size. A layer that looks sideways keeps the columns that it still needs and
gives out exactly the columns that are determined, each once. The start of a stream is a true edge (zeros to the left);
its end is one too, reached when the feed says `last` for that stream. Whole computation is one feed of a fresh stream
with `last`; streams at other positions, with other chunk sizes, share the forward without touching one another.

    frames = Frames.whole(x, lengths)                     # no state: every stream starts and ends here
    frames = layout.feed(states, ...).frames(x, lengths, guessed)  # streamed; then frames.feed.commit()

Rows are left-aligned: stream b owns `x[b, :, :lengths[b]]`, whatever lies to the right of it is undefined.
Nothing here knows a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from services.codec.families.spark.layers.cpu.columns import Columns, Place, States


@dataclass(slots=True)
class StreamState:
    """What the stateful layers of one module keep of one stream: columns [N] in one piece, and a count per layer."""

    columns: Tensor
    counts: list[int]


class Feed:
    """The streams of one forward: their state, which of them end here, and how far each one looks ahead.

    `alike` is true where every row has the same geometry, so that each layer works on the batch as on one stream.
    The state is stacked in `columns`, or `cpu` joins columns with each stream's own, `rows`.
    """

    __slots__ = ("alike", "columns", "counts", "cpu", "last", "look_ahead", "rows", "states")

    def __init__(
        self, states: list[StreamState], last: list[bool], look_ahead: list[int], cpu: Columns | None = None
    ) -> None:
        self.states = states
        self.last = last
        self.look_ahead = look_ahead
        self.cpu = cpu
        self.rows = States([state.columns for state in states])
        self.columns = _stacked(states) if states and cpu is None else None
        self.counts = [list(held) for held in zip(*(state.counts for state in states), strict=True)]
        self.alike = False

    def frames(self, x: Tensor, lengths: list[int], guessed: list[int]) -> Frames:
        """The first frames of this forward. x [B, C, F]; the last `guessed` of a row's `lengths` are guesses."""
        rows = list(zip(lengths, guessed, self.last, self.look_ahead, strict=True))
        self.alike = all(row == rows[0] for row in rows[1:]) and all(
            state.counts == self.states[0].counts for state in self.states[1:]
        )
        return Frames(x, lengths, guessed, self)

    def commit(self) -> None:
        """Write the state back to the streams."""
        for row, state in enumerate(self.states):
            state.counts = [held[row] for held in self.counts]
            if self.columns is not None and len(self.states) > 1:
                state.columns.copy_(self.columns[row])


@dataclass(slots=True)
class Frames:
    """A ragged batch: x [B, C, F] float32, valid columns of each row, how many of those, at the right, are guessed
    (computed and passed on, but never kept in the state), and the feed that all belong to."""

    x: Tensor
    lengths: list[int]
    guessed: list[int]
    feed: Feed

    @staticmethod
    def whole(x: Tensor, lengths: Sequence[int] | None = None) -> Frames:
        """Complete utterances: x [B, C, F], padded at will beyond `lengths` (default: F for every row)."""
        rows = x.shape[0]
        lengths = [x.shape[2]] * rows if lengths is None else list(lengths)
        assert len(lengths) == rows
        assert max(lengths) <= x.shape[2]
        feed = Feed([], [True] * rows, [0] * rows)
        feed.alike = len(set(lengths)) == 1
        return Frames(x[:, :, : max(lengths)], lengths, [0] * rows, feed)

    def to(self, x: Tensor) -> Frames:
        """The same columns with other contents (a map over frames)."""
        return Frames(x, self.lengths, self.guessed, self.feed)

    def rows(self) -> list[Tensor]:
        """The valid part of each row, [C, lengths[b]] views."""
        return [self.x[row, :, :length] for row, length in enumerate(self.lengths)]

    def dropped(self, drops: list[int], lengths: list[int], guessed: list[int]) -> Frames:
        """Without each row's first `drops` columns."""
        least = min(drops)
        x = self.x[:, :, least:]
        for row, (drop, length) in enumerate(zip(drops, lengths, strict=True)):
            if drop > least:
                x[row, :, :length] = x[row, :, drop - least : drop - least + length].clone()
        return Frames(x[:, :, : max(lengths)], lengths, guessed, self.feed)


class Stateful(nn.Module):
    """A layer with a slot in the stream state: `span` columns of `channels`, and one count that starts at `lead`."""

    def __init__(self, channels: int, span: int, lead: int) -> None:
        super().__init__()
        self.channels, self.span, self.lead = channels, span, lead
        self.dtype = torch.float32
        self.slot, self.offset = -1, 0

    @property
    def size(self) -> int:
        """Of its columns in the state, in float32 values."""
        return -(-self.channels * self.span * self.dtype.itemsize // 4)

    @property
    def place(self) -> Place:
        return Place(self.channels, self.span, 4 * self.offset)

    def held(self, feed: Feed) -> list[int]:
        return feed.counts[self.slot] if feed.states else [self.lead] * len(feed.last)

    def hold(self, feed: Feed, held: list[int]) -> None:
        if feed.states:
            feed.counts[self.slot] = held

    def context(self, feed: Feed) -> Tensor:
        """[B, channels, span] view of the stacked state; the valid columns are the rightmost."""
        assert feed.columns is not None
        flat = feed.columns.narrow(1, self.offset, self.channels * self.span)
        return flat.view(-1, self.channels, self.span)


class StateLayout:
    """Where each stateful layer of a module keeps its columns within a stream's state.

    A module has one layout: making it numbers the module's layers. `cpu`: what joins columns, instead of torch.
    """

    def __init__(self, module: nn.Module, cpu: Columns | None = None) -> None:
        self._cpu = cpu
        self._layers = [layer for layer in module.modules() if isinstance(layer, Stateful)]
        self.size = 0
        for slot, layer in enumerate(self._layers):
            layer.slot, layer.offset = slot, self.size
            self.size += layer.size

    def fresh(self, device: torch.device | None = None) -> StreamState:
        """The state of a stream before its first frame."""
        return StreamState(torch.zeros(self.size, device=device), [layer.lead for layer in self._layers])

    def feed(self, states: list[StreamState], last: list[bool], look_ahead: list[int]) -> Feed:
        """The streams of one forward."""
        return Feed(states, last, look_ahead, self._cpu)


def _stacked(states: list[StreamState]) -> Tensor:
    """A single stream's is worked on in place."""
    return states[0].columns[None] if len(states) == 1 else torch.stack([state.columns for state in states])
