"""When the requests of an open loop come, whatever the server is doing."""

import numpy as np


def poisson(rate: float, seconds: float, seed: int) -> tuple[float, ...]:
    """Arrivals in [0, seconds), `rate` a second on average, each independent of all others."""
    generator = np.random.default_rng(seed)
    times: list[float] = []
    now = float(generator.exponential(1 / rate))
    while now < seconds:
        times.append(now)
        now += float(generator.exponential(1 / rate))
    return tuple(times)
