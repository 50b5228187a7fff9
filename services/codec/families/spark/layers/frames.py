"""Ragged batches of frames, and the state that lets convolutions run chunk by chunk.

A stream's frames arrive in chunks of any size. A layer that looks sideways keeps the columns that it still needs and
gives out exactly the columns that are determined, each once. The start of a stream is a true edge (zeros to the left);
its end is one too, reached when the feed says `last` for that stream. Whole computation is one feed of a fresh stream
with `last`; streams at other positions, with other chunk sizes, share the forward without touching one another.

    frames = Frames.whole(x, lengths)                    # no state: every stream starts and ends here
    frames = layout.feed([state, ...], [True, ...]).frames(x, lengths)   # streamed; then feed.commit()

Rows are left-aligned: stream b owns `x[b, :, :lengths[b]]`, whatever lies to the right of it is undefined.
Nothing here knows a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(slots=True)
class StreamState:
    """What the stateful layers of one module keep of one stream: columns [N] in one piece, and a count per layer."""

    columns: Tensor
    counts: list[int]

    def copy(self) -> StreamState:
        return StreamState(self.columns.clone(), self.counts.copy())


class Feed:
    """The streams of one forward: their stacked state, and which of them end here.

    `alike` is true where every row has the same geometry, so that each layer works on the batch as on one stream.
    """

    __slots__ = ("alike", "columns", "counts", "last", "states")

    def __init__(self, states: list[StreamState], last: list[bool], columns: Tensor | None) -> None:
        self.states = states
        self.last = last
        self.columns = columns
        self.counts = [list(held) for held in zip(*(state.counts for state in states), strict=True)]
        self.alike = False

    def frames(self, x: Tensor, lengths: list[int]) -> Frames:
        """The first frames of this forward. x [B, C, F], lengths in columns of it."""
        self.alike = (
            len(set(lengths)) == 1
            and len(set(self.last)) == 1
            and all(state.counts == self.states[0].counts for state in self.states)
        )
        return Frames(x, lengths, self)

    def commit(self) -> None:
        """Write the state back to the streams. Without it the forward leaves them as they were, unless it ran on one
        stream in place (`StateLayout.feed`)."""
        for row, state in enumerate(self.states):
            state.counts = [held[row] for held in self.counts]
            if self.columns is not None and len(self.states) > 1:
                state.columns.copy_(self.columns[row])


@dataclass(slots=True)
class Frames:
    """A ragged batch: x [B, C, F] float32, valid columns of each row, and the feed that it belongs to."""

    x: Tensor
    lengths: list[int]
    feed: Feed

    @staticmethod
    def whole(x: Tensor, lengths: Sequence[int] | None = None) -> Frames:
        """Complete utterances: x [B, C, F], padded at will beyond `lengths` (default: F for every row)."""
        lengths = [x.shape[2]] * x.shape[0] if lengths is None else list(lengths)
        assert len(lengths) == x.shape[0]
        assert max(lengths) <= x.shape[2]
        feed = Feed([], [True] * len(lengths), None)
        feed.alike = len(set(lengths)) == 1
        return Frames(x[:, :, : max(lengths)], lengths, feed)

    def to(self, x: Tensor) -> Frames:
        """The same columns with other contents (a map over frames)."""
        return Frames(x, self.lengths, self.feed)

    def rows(self) -> list[Tensor]:
        """The valid part of each row, [C, lengths[b]] views."""
        return [self.x[row, :, :length] for row, length in enumerate(self.lengths)]


class Stateful(nn.Module):
    """A layer with a slot in the stream state: `span` columns of `channels`, and one count that starts at `lead`."""

    def __init__(self, channels: int, span: int, lead: int) -> None:
        super().__init__()
        self.channels, self.span, self.lead = channels, span, lead
        self.slot, self.offset = -1, 0

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


class Window(Stateful):
    """Join each stream's kept columns with its new ones.

    An output column needs `span` + 1 input columns. `lead` zeros stand before the first column of a stream and `tail`
    zeros follow its last. Returns frames whose `lengths` count *output* columns while row b of x [B, C, W] holds the
    lengths[b] + span columns that they are computed from; W is 0 if no output is determined.
    """

    def __init__(self, channels: int, *, span: int, lead: int, tail: int) -> None:
        super().__init__(channels, span, lead)
        self.tail = tail

    def forward(self, frames: Frames) -> Frames:
        if not self.span:
            return frames
        return self._alike(frames) if frames.feed.alike else self._ragged(frames)

    def _alike(self, frames: Frames) -> Frames:
        feed, new, batch = frames.feed, frames.lengths[0], len(frames.lengths)
        held = self.held(feed)[0]
        tail = self.tail if feed.last[0] else 0
        outputs = max(0, held + new + tail - self.span)
        if feed.columns is None:
            x = F.pad(frames.x, (held, tail))
        elif new or tail:
            context = self.context(feed)
            x = torch.cat((context[:, :, self.span - held :], frames.x), 2)
            if tail:
                x = F.pad(x, (0, tail))
            kept = min(self.span, held + new)
            context[:, :, self.span - kept :] = x[:, :, held + new - kept : held + new]
            self.hold(feed, [kept] * batch)
        else:
            x = frames.x
        return Frames(x if outputs else x[:, :, :0], [outputs] * batch, feed)

    def _ragged(self, frames: Frames) -> Frames:
        feed, held = frames.feed, self.held(frames.feed)
        most = max(held)
        totals = [
            have + new + (self.tail if last else 0)
            for have, new, last in zip(held, frames.lengths, feed.last, strict=True)
        ]
        outputs = [max(0, total - self.span) for total in totals]
        x = self._joined(frames, most)
        for row, (have, new, last) in enumerate(zip(held, frames.lengths, feed.last, strict=True)):
            if last:
                x[row, :, most + new : most + new + self.tail] = 0
            if have < most:
                x[row, :, : totals[row]] = x[row, :, most - have : most - have + totals[row]].clone()
        if feed.columns is not None:
            self._keep(x, held, frames)
        width = max(outputs)
        return Frames(x[:, :, : width + self.span if width else 0], outputs, feed)

    def _joined(self, frames: Frames, most: int) -> Tensor:
        feed = frames.feed
        tail = self.tail if any(feed.last) else 0
        if feed.columns is None:
            return F.pad(frames.x, (most, tail))
        x = torch.cat((self.context(feed)[:, :, self.span - most :], frames.x), 2)
        return F.pad(x, (0, tail)) if tail else x

    def _keep(self, x: Tensor, held: list[int], frames: Frames) -> None:
        context = self.context(frames.feed)
        ends = [have + new for have, new in zip(held, frames.lengths, strict=True)]
        kept = [min(self.span, end) for end in ends]
        for row, (end, keep) in enumerate(zip(ends, kept, strict=True)):
            context[row, :, self.span - keep :] = x[row, :, end - keep : end]
        self.hold(frames.feed, kept)


class Delay(Window):
    """Hold every stream back by `columns`: the residual path beside a layer that looks as far ahead."""

    def __init__(self, channels: int, columns: int) -> None:
        super().__init__(channels, span=columns, lead=0, tail=columns)

    def forward(self, frames: Frames) -> Frames:
        joined = super().forward(frames)
        return joined.to(joined.x[:, :, : max(joined.lengths)])


class Crop(Stateful):
    """Drop the first `head` columns of each stream, and the last `foot` of its last feed."""

    def __init__(self, head: int, foot: int) -> None:
        super().__init__(0, 0, 0)
        self.head, self.foot = head, foot

    def forward(self, frames: Frames) -> Frames:
        feed = frames.feed
        dropped = self.held(feed)
        drops = [min(self.head - gone, new) for gone, new in zip(dropped, frames.lengths, strict=True)]
        lengths = [
            new - drop - (self.foot if last else 0)
            for new, drop, last in zip(frames.lengths, drops, feed.last, strict=True)
        ]
        self.hold(feed, [gone + drop for gone, drop in zip(dropped, drops, strict=True)])
        least = min(drops)
        x = frames.x[:, :, least:]
        for row, (drop, length) in enumerate(zip(drops, lengths, strict=True)):
            if drop > least:
                x[row, :, :length] = x[row, :, drop - least : drop - least + length].clone()
        return Frames(x[:, :, : max(lengths)], lengths, feed)


class StateLayout:
    """Where each stateful layer of a module keeps its columns within a stream's state.

    A module has one layout: making it numbers the module's layers.
    """

    def __init__(self, module: nn.Module) -> None:
        self._layers = [layer for layer in module.modules() if isinstance(layer, Stateful)]
        self.size = 0
        for slot, layer in enumerate(self._layers):
            layer.slot, layer.offset = slot, self.size
            self.size += layer.channels * layer.span

    def fresh(self) -> StreamState:
        """The state of a stream before its first frame."""
        return StreamState(torch.zeros(self.size), [layer.lead for layer in self._layers])

    def feed(self, states: list[StreamState], last: list[bool]) -> Feed:
        """Stack the states of the streams of one forward. A single stream is worked on in place."""
        columns = states[0].columns[None] if len(states) == 1 else torch.stack([state.columns for state in states])
        return Feed(states, last, columns)
