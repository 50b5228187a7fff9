"""How fast one thread of this machine reads memory and multiplies matrices: the best of a few tries."""

import time
from collections.abc import Callable

import torch

_TRIES = 5
# Far beyond the caches.
_READ_BYTES = 2**29
_SIDE = 2048
_FLOAT_BYTES = 4


def memory_bandwidth(size: int = _READ_BYTES) -> float:
    """Bytes a second that are read, of `size` bytes."""
    torch.set_num_threads(1)
    values = torch.ones(size // _FLOAT_BYTES)
    return size / _best(lambda: values.sum())


def peak_flops(dtype: torch.dtype = torch.float32, side: int = _SIDE) -> float:
    """Operations a second; a multiplication and its addition are two."""
    torch.set_num_threads(1)
    left, right = (torch.ones(side, side, dtype=dtype) for _ in range(2))
    return 2 * side**3 / _best(lambda: left @ right)


def _best(work: Callable[[], object]) -> float:
    """Seconds."""
    work()
    return min(_seconds(work) for _ in range(_TRIES))


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
