import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm.sampling import ResolvedSampling, random_bits
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
