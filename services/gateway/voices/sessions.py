"""Sessions of a database that may be away: what needs it fails at once, and it is looked for until it is back."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from services.gateway.voices.tables import VoiceRow
from services.runtime.errors import StoreUnavailable

logger = logging.getLogger(__name__)

# How often it is looked at, in seconds, and how long it may take to answer.
_LOOK_SECONDS, _LOOK_AGAIN_SECONDS = 5.0, 0.5
_PATIENCE_SECONDS = 10.0
# Classes of errors of PostgreSQL: connections, resources, the operator.
_AWAY = ("08", "53", "57P")


class Sessions:
    """`problem` says for people that the database is away; empty while it is not."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._make = async_sessionmaker(engine, expire_on_commit=False)
        self._stopped = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self.problem = ""

    def start(self) -> None:
        self._looking = asyncio.create_task(self._look())

    async def stop(self) -> None:
        """Waits for the look that is being taken: a connection that is cut off while it opens would be left open."""
        self._stopped.set()
        if self._looking is not None:
            await self._looking

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[AsyncSession]:
        """Raises StoreUnavailable."""
        self._check()
        async with self.watched(), self._make() as session:
            yield session

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """A transaction. Raises StoreUnavailable."""
        self._check()
        async with self.watched(), self._make.begin() as session:
            yield session

    @asynccontextmanager
    async def watched(self, patience: float | None = _PATIENCE_SECONDS) -> AsyncIterator[None]:
        """Around whatever uses the database. Raises StoreUnavailable."""
        try:
            async with asyncio.timeout(patience):
                yield
        except Exception as exc:  # asyncpg has errors of its own, which SQLAlchemy passes on as they are.
            if not _is_away(exc):
                raise
            self._lost(exc)
            raise _unavailable() from exc

    def _check(self) -> None:
        if self.problem:
            raise _unavailable()

    async def _look(self) -> None:
        while not await self._stops_within(_LOOK_AGAIN_SECONDS if self.problem else _LOOK_SECONDS):
            with suppress(StoreUnavailable):
                async with self.watched(), self._make() as session:
                    await session.scalar(select(VoiceRow.id).limit(1))
                self._found()

    async def _stops_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()
        return self._stopped.is_set()

    def _lost(self, exc: Exception) -> None:
        if not self.problem:
            logger.warning("the voice database is away: %s", str(exc).partition("\n")[0] or type(exc).__name__)
        self.problem = "The voice database is away; voices in use go on."

    def _found(self) -> None:
        if self.problem:
            logger.info("the voice database is back")
        self.problem = ""


def _unavailable() -> StoreUnavailable:
    return StoreUnavailable("The voices cannot be read or changed now: their database is away.")


def _is_away(exc: Exception) -> bool:
    if isinstance(exc, (OSError, OperationalError, InterfaceError, NoConnectionFree)):
        return True
    if isinstance(exc, DBAPIError) and exc.connection_invalidated:
        return True
    return str(getattr(getattr(exc, "orig", exc), "sqlstate", "")).startswith(_AWAY)
