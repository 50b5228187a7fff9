"""The keys that count now, as this process knows them. No request waits for the database while it answers, and none
asks it about what a caller sent: however many wrong keys come, it is read once a second.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from services.gateway.access.allowance import Allowance
from services.gateway.access.key_store import Issued
from services.gateway.access.principal import Principal
from services.runtime.errors import StoreUnavailable

logger = logging.getLogger(__name__)

# Seconds after which the keys are read again, and after which a request waits until they have been.
_RENEWED_AFTER, _FRESH_FOR = 1.0, 2.0
# So long may a reading take before the database counts as away.
_READ_SECONDS = 5.0
# So long are the keys trusted that were read before the database went away.
_TRUSTED_SECONDS = 3600.0


class Keys(Protocol):
    async def issued(self) -> Issued: ...


@dataclass(frozen=True)
class Known:
    """Principals by the hash of their key. `current`: not read so long ago that there may be others by now."""

    principals: Mapping[str, Principal]
    guarded: bool
    current: bool


class Keyring:
    """`clock` works as time.monotonic."""

    def __init__(self, keys: Keys, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self._clock = clock
        self._issued = Issued({}, guarded=True)
        self._principals: dict[str, Principal] = {}
        self._read_at = self._tried_at = float("-inf")
        self._away = False
        self._reading: asyncio.Task[None] | None = None

    async def known(self) -> Known:
        """Raises StoreUnavailable when the keys have not been read, or not for long."""
        now = self._clock()
        if now - max(self._read_at, self._tried_at) > _RENEWED_AFTER and self._reading is None:
            self._reading = asyncio.create_task(self._read(now))
        if self._reading is not None and not self._away and now - self._read_at > _FRESH_FOR:
            await asyncio.wait((self._reading,))
        age = self._clock() - self._read_at
        if age > _TRUSTED_SECONDS:
            raise StoreUnavailable("The keys cannot be looked up now: the database does not answer.")
        return Known(self._principals, self._issued.guarded, age <= _FRESH_FOR)

    async def stop(self) -> None:
        if self._reading is not None:
            await asyncio.wait((self._reading,))

    async def _read(self, now: float) -> None:
        self._tried_at = now
        try:
            async with asyncio.timeout(_READ_SECONDS):
                issued = await self._keys.issued()
        except (StoreUnavailable, TimeoutError):
            if not self._away:
                logger.warning("the keys cannot be read, those known go on")
            self._away = True
            return
        finally:
            self._reading = None
        self._away, self._read_at = False, now
        if issued != self._issued:
            self._principals = {each: self._principal(each, issued) for each in issued.keys}
            self._issued = issued

    def _principal(self, digest: str, issued: Issued) -> Principal:
        """The one that is known keeps what it has used of its limits."""
        key = issued.keys[digest]
        known = self._principals.get(digest)
        return known or Principal(key.id, key.owner, key.scopes, Allowance(key.limits))
