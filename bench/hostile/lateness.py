"""How late a sleeper wakes in a process: it shows for how long anything held the event loop, or the interpreter."""

import asyncio
import threading
import time
from array import array
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SLEEP_SECONDS = 0.005
# When it woke (Unix time), and how late.
_FIELDS = 2


class Record:
    """Appends to a file, now and then."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held = array("d")
        path.write_bytes(b"")

    def add(self, late: float) -> None:
        self._held.extend((time.time(), late))
        if len(self._held) >= 100 * _FIELDS:
            with self._path.open("ab") as file:
                self._held.tofile(file)
            del self._held[:]


async def sleep_on_loop(record: Record) -> None:
    """Until it is cancelled."""
    while True:
        before = time.perf_counter()
        await asyncio.sleep(SLEEP_SECONDS)
        record.add(time.perf_counter() - before - SLEEP_SECONDS)


def sleep_in_thread(record: Record) -> None:
    """From a thread of its own, which ends with the process."""

    def sleep() -> None:
        while True:
            before = time.perf_counter()
            time.sleep(SLEEP_SECONDS)
            record.add(time.perf_counter() - before - SLEEP_SECONDS)

    threading.Thread(target=sleep, daemon=True).start()


@dataclass(frozen=True)
class Lateness:
    """In ms."""

    p999: float
    worst: float


def lateness(path: Path, since: float, until: float) -> Lateness:
    """Of the sleeps that ended between two times."""
    rows: NDArray[np.float64] = np.fromfile(path).reshape(-1, _FIELDS)
    late = 1000 * rows[(rows[:, 0] >= since) & (rows[:, 0] < until), 1]
    return Lateness(float(np.quantile(late, 0.999)), float(late.max()))
