import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contract.sampling import Sampling
from services.llm.sampling import Limits, ResolvedSampling, random_bits, resolved
from services.runtime.errors import InvalidRequest


def test_defaults_are_those_of_the_reference() -> None:
    sampling = ResolvedSampling(max_tokens=1)
    assert (sampling.temperature, sampling.top_k, sampling.top_p) == (0.8, 50, 0.95)
    assert (sampling.repetition_penalty, sampling.min_tokens) == (1.0, 0)


def test_random_numbers_differ_for_each_seed_and_position() -> None:
    assert len({random_bits(seed, position) for seed in range(300) for position in range(300)}) == 90_000
    # Neighbours share as many bits as strangers: 32 of 64 on average.
    pairs = [
        ((seed, position), other)
        for seed in range(99)
        for position in range(99)
        for other in ((seed, position + 1), (seed + 1, position))
    ]
    shared = [(~(random_bits(*one) ^ random_bits(*other)) % 2**64).bit_count() for one, other in pairs]
    assert sum(shared) / len(shared) == pytest.approx(32, abs=0.2)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1),
        ("temperature", 2.1),
        ("temperature", float("nan")),
        ("top_k", -1),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("repetition_penalty", 0.0),
        ("repetition_penalty", 2.1),
        ("max_tokens", 0),
        ("min_tokens", -1),
        ("min_tokens", 11),
        ("seed", -1),
        ("seed", 2**63),
    ],
)
def test_value_out_of_range_names_its_field(field: str, value: float) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ResolvedSampling(**{"max_tokens": 10, field: value})
    assert caught.value.field == f"sampling.{field}"


@given(
    temperature=st.floats(0, 2),
    top_k=st.integers(0, 10**6),
    top_p=st.floats(0, 1, exclude_min=True),
    seed=st.integers(0, 2**63 - 1),
)
def test_values_in_range_are_taken(temperature: float, top_k: int, top_p: float, seed: int) -> None:
    sampling = ResolvedSampling(max_tokens=1, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    assert sampling.greedy == (temperature == 0)


def test_absent_seed_is_a_fresh_one_each_time() -> None:
    assert len({ResolvedSampling(max_tokens=1).seed for _ in range(8)}) > 1


LIMITS = Limits(shortest=6, usual_least=10, usual_most=100, most=1000)


@pytest.mark.parametrize(
    ("asked", "bounds"),
    [
        (Sampling(), (10, 100)),
        (Sampling(max_tokens=8), (8, 8)),
        (Sampling(max_tokens=5000), (10, 1000)),
        (Sampling(min_tokens=0), (6, 100)),
        (Sampling(min_tokens=50), (50, 100)),
    ],
)
def test_bounds_follow_the_text_and_end_at_the_context(asked: Sampling, bounds: tuple[int, int]) -> None:
    sampling = resolved(asked, LIMITS)
    assert (sampling.min_tokens, sampling.max_tokens) == bounds


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (Sampling(max_tokens=5), "max_tokens"),
        (Sampling(min_tokens=101), "min_tokens"),
        (Sampling(top_p=2.0), "top_p"),
    ],
)
def test_what_is_asked_for_out_of_range_names_its_field(asked: Sampling, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        resolved(asked, LIMITS)
    assert caught.value.field == f"sampling.{field}"


def test_what_is_asked_for_is_taken() -> None:
    sampling = resolved(Sampling(temperature=0.0, top_k=0, seed=7), LIMITS)
    assert (sampling.temperature, sampling.top_k, sampling.seed, sampling.top_p) == (0.0, 0, 7, 0.95)
