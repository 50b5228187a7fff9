import torch
from hypothesis import given
from hypothesis import strategies as st

from services.llm.engines.restricted_head import RestrictedHead

VOCABULARY, PADDED, CHANNELS = 40, 48, 8


def check(spans: list[tuple[int, int]]) -> None:
    """Against the whole product, masked."""
    random = torch.Generator().manual_seed(3)
    rows = torch.randn(PADDED, CHANNELS, generator=random)
    hidden = torch.randn(3, CHANNELS, generator=random)
    logits = RestrictedHead(rows, spans, VOCABULARY)(hidden)
    allowed = torch.tensor([token for first, end in spans for token in range(first, end)])
    whole = (hidden @ rows.T)[:, :VOCABULARY]
    assert logits.shape == whole.shape
    torch.testing.assert_close(logits[:, allowed], whole[:, allowed])
    logits[:, allowed] = -torch.inf
    assert logits.isneginf().all()


@given(st.integers(0, VOCABULARY - 1), st.integers(1, VOCABULARY))
def test_one_span_has_the_logits_of_the_whole_layer(first: int, size: int) -> None:
    check([(first, min(first + size, VOCABULARY))])


@given(st.sets(st.integers(0, VOCABULARY), min_size=4))
def test_several_spans_have_the_logits_of_the_whole_layer(edges: set[int]) -> None:
    ordered = sorted(edges)
    check(list(zip(ordered[::2], ordered[1::2], strict=False)))


def test_rows_of_one_span_are_not_copied() -> None:
    rows = torch.zeros(PADDED, CHANNELS)
    head = RestrictedHead(rows, [(10, 20)], VOCABULARY)
    rows[15] = 1.0
    assert head(torch.ones(1, CHANNELS))[0, 15] == CHANNELS
