"""Which streams to compute together: a shared forward saves its own cost, and pays for padding them to one length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import nn

from services.codec.families.spark.layers.convolution import multiply_adds

FORWARD_COST = 60e6
"""Multiply-adds in the time that a forward takes by itself, on one CPU thread."""
WEIGHT_COST = 20
"""Multiply-adds in the time that it takes to read a weight from memory."""
READ_SHARE = 1 / 8
"""Cost of a token in the prenet relative to the generator: 0.04 at the published widths, 0.2 in the bundled voice."""


@dataclass(frozen=True, slots=True)
class Load:
    """One stream's part of a forward: tokens that go in, tokens of audio that come out."""

    read: int
    heard: int


def forward_tokens(module: nn.Module) -> float:
    """What a forward costs by itself, in tokens: 16 for the bundled voice, 3 at the published widths."""
    weights = sum(parameter.numel() for parameter in module.parameters())
    return (FORWARD_COST + WEIGHT_COST * weights) / multiply_adds(module)


def groups(loads: Mapping[int, Load], spare_tokens: float) -> Iterator[list[int]]:
    """The keys of `loads` in groups, most audio first; a group is padded by at most `spare_tokens` in all."""
    group: list[int] = []
    for key in sorted(loads, key=lambda key: loads[key].heard, reverse=True):
        if group and _padding([loads[member] for member in (*group, key)]) > spare_tokens:
            yield group
            group = []
        group.append(key)
    if group:
        yield group


def _padding(loads: list[Load]) -> float:
    heard, read = [load.heard for load in loads], [load.read for load in loads]
    spare_heard, spare_read = (len(loads) * max(part) - sum(part) for part in (heard, read))
    return spare_heard + spare_read * READ_SHARE
