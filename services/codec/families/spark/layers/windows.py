"""The stateful layers: what joins, delays, drops and settles the columns of a stream. See `frames`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from services.codec.families.spark.layers.cpu.columns import Columns, Row
from services.codec.families.spark.layers.frames import Frames, Stateful
from services.codec.families.spark.layers.snake import Snake


class Window(Stateful):
    """Join each stream's kept columns with its new ones.

    An output column needs `span` + 1 input columns. `lead` zeros stand before the first column of a stream and `tail`
    zeros follow its last. Returns frames whose `lengths` count *output* columns while row b of x [B, C, W] holds the
    lengths[b] + span columns that they are computed from; W is 0 if no output is determined.
    """

    def __init__(self, channels: int, *, span: int, lead: int, tail: int) -> None:
        super().__init__(channels, span, lead)
        self.tail = tail

    def forward(self, frames: Frames, snake: Snake | None = None) -> Frames:
        """With `snake`, of the Snake of the new columns."""
        if frames.feed.cpu:
            return self._on_cpu(frames, frames.feed.cpu, snake)
        frames = frames if snake is None else snake(frames)
        if not self.span:
            return frames
        return self._alike(frames) if frames.feed.alike else self._ragged(frames)

    def _on_cpu(self, frames: Frames, cpu: Columns, snake: Snake | None) -> Frames:
        rows, joined = self._joining(frames)
        pattern = None if snake is None else snake.pattern
        x = cpu.join(frames.x, rows, self.place, frames.feed.rows, self.dtype, pattern)
        width = max(joined.lengths)
        return joined.to(x[:, :, : width + self.span if width else 0])

    def _joining(self, frames: Frames) -> tuple[list[Row], Frames]:
        """How the columns of each stream are joined, or of all alike; and what comes out, still with the columns that
        went in.
        """
        feed, rows, lengths, guessed = frames.feed, list[Row](), list[int](), list[int]()
        for held, new, guess, last in zip(self.held(feed), frames.lengths, frames.guessed, feed.last, strict=True):
            settled = held + new - guess
            row = Row(held, new, self.tail if last else 0, settled, min(self.span, settled))
            rows.append(row)
            lengths.append(max(0, row.total - self.span))
            guessed.append(lengths[-1] - max(0, row.total - guess - self.span))
            if feed.alike:
                break
        times = len(frames.lengths) if feed.alike else 1
        self.hold(feed, [row.kept for row in rows] * times)
        return rows, Frames(frames.x, lengths * times, guessed * times, feed)

    def _alike(self, frames: Frames) -> Frames:
        feed, new, batch = frames.feed, frames.lengths[0], len(frames.lengths)
        held = self.held(feed)[0]
        tail = self.tail if feed.last[0] else 0
        total = held + new + tail
        certain = total - frames.guessed[0]
        outputs = max(0, total - self.span)
        if feed.columns is None:
            x = F.pad(frames.x, (held, tail))
        elif new or tail:
            context = self.context(feed)
            edge = [frames.x.new_zeros(batch, self.channels, tail)] if tail else []
            x = torch.cat((context[:, :, self.span - held :], frames.x, *edge), 2)
            if not feed.last[0]:
                kept = min(self.span, certain)
                context[:, :, self.span - kept :] = x[:, :, certain - kept : certain]
                self.hold(feed, [kept] * batch)
        else:
            x = frames.x
        guessed = outputs - max(0, certain - self.span)
        return Frames(x if outputs else x[:, :, :0], [outputs] * batch, [guessed] * batch, feed)

    def _ragged(self, frames: Frames) -> Frames:
        feed, held = frames.feed, self.held(frames.feed)
        most = max(held)
        x = self._joined(frames, most)
        lengths, guessed = [], []
        for row, (have, new, guess, last) in enumerate(
            zip(held, frames.lengths, frames.guessed, feed.last, strict=True)
        ):
            total = have + new + (self.tail if last else 0)
            if last:
                x[row, :, most + new : most + new + self.tail] = 0
            if have < most:
                x[row, :, :total] = x[row, :, most - have : most - have + total].clone()
            lengths.append(max(0, total - self.span))
            guessed.append(lengths[-1] - max(0, total - guess - self.span))
        if feed.columns is not None:
            self._keep(x, held, frames)
        width = max(lengths)
        return Frames(x[:, :, : width + self.span if width else 0], lengths, guessed, feed)

    def _joined(self, frames: Frames, most: int) -> Tensor:
        feed = frames.feed
        tail = self.tail if any(feed.last) else 0
        if feed.columns is None:
            return F.pad(frames.x, (most, tail))
        x = torch.cat((self.context(feed)[:, :, self.span - most :], frames.x), 2)
        return F.pad(x, (0, tail)) if tail else x

    def _keep(self, x: Tensor, held: list[int], frames: Frames) -> None:
        context = self.context(frames.feed)
        ends = [have + new - guess for have, new, guess in zip(held, frames.lengths, frames.guessed, strict=True)]
        kept = [min(self.span, end) for end in ends]
        for row, (end, keep) in enumerate(zip(ends, kept, strict=True)):
            context[row, :, self.span - keep :] = x[row, :, end - keep : end]
        self.hold(frames.feed, kept)


class Delay(Window):
    """Hold every stream back by `columns`: the residual path beside a layer that looks as far ahead."""

    def __init__(self, channels: int, columns: int) -> None:
        super().__init__(channels, span=columns, lead=0, tail=columns)

    def forward(self, frames: Frames, snake: Snake | None = None) -> Frames:
        joined = super().forward(frames, snake)
        return joined.to(joined.x[:, :, : max(joined.lengths)])

    def add(self, frames: Frames, late: Frames) -> Frames:
        """`late`, delayed, added in place to `frames`, which are as many."""
        if cpu := frames.feed.cpu:
            rows, _ = self._joining(late)
            cpu.add(frames.x, late.x, rows, self.place, frames.feed.rows)
            return frames
        delayed: Frames = self(late)
        return frames.to(frames.x.add_(delayed.x))


class Crop(Stateful):
    """Drop the first `head` columns of each stream, and the last `foot` of its last feed."""

    def __init__(self, head: int, foot: int) -> None:
        super().__init__(0, 0, 0)
        self.head, self.foot = head, foot

    def forward(self, frames: Frames) -> Frames:
        feed = frames.feed
        drops, lengths, guessed, counts = [], [], [], []
        for gone, new, guess, last in zip(self.held(feed), frames.lengths, frames.guessed, feed.last, strict=True):
            drop = min(self.head - gone, new)
            certain = min(drop, new - guess)
            drops.append(drop)
            lengths.append(new - drop - (self.foot if last else 0))
            guessed.append(guess - (drop - certain))
            counts.append(gone + certain)
        self.hold(feed, counts)
        return frames.dropped(drops, lengths, guessed)


class Joint(Stateful):
    """Where guessed columns become certain.

    Before the joint, state holds only what rests on certain columns; what rests on guessed ones is computed anew in
    every feed. The joint declares certain what this feed makes audible and `margin` columns more, so behind it they are
    computed once; it drops them when they come again. `reach`: columns to the right that an audible sample depends on
    here; `rate`: columns per token. No made-up token becomes certain: the margin is cut to the look-ahead.

    What became certain at a cut may rest on the guesses of that cut, so a stream that is begun anew in the middle must
    be cut as before. How far back: an audible sample rests on columns here up to `reach` to its left, and those became
    certain with the first cut that was audible beyond them less the margin. So cuts matter up to reach + margin to the
    left. That lies within the field of the whole model if the margin is no wider than what stands before the joint.
    """

    def __init__(self, *, reach: int, margin: int, rate: int) -> None:
        super().__init__(0, 0, 0)
        self.reach, self.margin, self.rate = reach, margin, rate

    def forward(self, frames: Frames) -> Frames:
        feed = frames.feed
        taken = self.held(feed)
        drops, lengths, guessed, counts = [], [], [], []
        for gone, new, guess, ahead in zip(taken, frames.lengths, frames.guessed, feed.look_ahead, strict=True):
            certain, end = new - guess, max(gone, new)
            limit = self.reach - min(self.margin, ahead * self.rate)
            until = max(gone, certain, end - limit)
            drops.append(min(gone, new))
            lengths.append(end - gone)
            guessed.append(end - until)
            counts.append(until - certain)
        self.hold(feed, counts)
        return frames.dropped(drops, lengths, guessed)
