import numpy as np
import pytest

from bench.arrivals import poisson


def test_same_seed_same_arrivals_another_seed_others() -> None:
    assert poisson(5, 20, seed=1) == poisson(5, 20, seed=1)
    assert poisson(5, 20, seed=1) != poisson(5, 20, seed=2)


def test_arrivals_are_in_order_and_in_time() -> None:
    times = poisson(50, 10, seed=3)
    assert list(times) == sorted(times)
    assert times[0] > 0
    assert times[-1] < 10


def test_gaps_are_exponential() -> None:
    """Mean and standard deviation of the gaps are both 1 / rate; 2000 of them, three sigma."""
    gaps = np.diff(poisson(20, 100, seed=4))
    assert np.mean(gaps) == pytest.approx(0.05, rel=0.07)
    assert np.std(gaps) == pytest.approx(0.05, rel=0.1)
