"""Batches made beside the computation."""

from collections.abc import Iterator
from queue import Queue
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T], count: int) -> Iterator[T]:
    """The same items, up to `count` of them made ahead by a thread; what it raises is raised here."""
    made: Queue[tuple[T | None, BaseException | None]] = Queue(maxsize=count)

    def make() -> None:
        try:
            for item in items:
                made.put((item, None))
        except BaseException as error:  # Kept in the thread, it would leave the reader waiting for ever.
            made.put((None, error))

    Thread(target=make, daemon=True).start()
    while True:
        item, error = made.get()
        if error is not None:
            raise error
        assert item is not None
        yield item
