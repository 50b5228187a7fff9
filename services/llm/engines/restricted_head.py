"""An output layer that knows only the ids that may be drawn."""

from collections.abc import Sequence

import torch
from torch.nn.functional import linear


class RestrictedHead:
    """rows [V or more, C] of the whole layer; spans [[first, end], ...] of ids that may be drawn, sorted, in [0, V).

    The rows of one span are a view, those of several are copied once.
    """

    def __init__(self, rows: torch.Tensor, spans: Sequence[Sequence[int]], vocabulary: int) -> None:
        ids = [token for first, end in spans for token in range(first, end)]
        self._ids = torch.tensor(ids, device=rows.device)
        self._rows = rows[ids[0] : ids[-1] + 1] if len(spans) == 1 else rows[self._ids]
        self._vocabulary = vocabulary

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """[N, C] -> logits [N, V]; -inf where nothing may be drawn."""
        drawable = linear(hidden, self._rows)
        logits = drawable.new_full((len(drawable), self._vocabulary), -torch.inf)
        return logits.index_copy_(1, self._ids, drawable)
