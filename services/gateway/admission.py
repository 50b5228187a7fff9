"""How many requests are served at once; one more is turned away at once, before it makes all others late."""

from collections.abc import Iterator
from contextlib import contextmanager

from services.runtime.errors import Overloaded


class Admission:
    """`most`: requests at once; `retry_after`: when a caller that was turned away should come again, in seconds."""

    def __init__(self, most: int, retry_after: float = 1.0) -> None:
        self._most = most
        self._retry_after = retry_after
        self._now = 0

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Raises Overloaded."""
        if self._now >= self._most:
            raise Overloaded(
                f"{self._now} requests are being spoken, which is all that there is room for.",
                retry_after=self._retry_after,
            )
        self._now += 1
        try:
            yield
        finally:
            self._now -= 1
