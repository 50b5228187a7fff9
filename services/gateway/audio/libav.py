"""Keeps libav from starting threads that it does not need."""

import ctypes
from contextlib import suppress
from functools import cache

from av.audio import resampler


@cache
def single_threaded() -> None:
    """From here on no filter graph has a pool of threads.

    libav gives each graph a thread for every CPU, up to 16, and PyAV each encoder a graph that cuts frames of its size:
    960 threads for 64 replies, and 1 to 3 ms before each one's first sound, for filters that use none of them. PyAV has
    no setting for it; where the symbol cannot be reached, libav keeps its threads.
    """
    with suppress(OSError, AttributeError):
        # The symbol is libavutil's, which PyAV's module has loaded.
        ctypes.CDLL(resampler.__file__).av_cpu_force_count(1)
