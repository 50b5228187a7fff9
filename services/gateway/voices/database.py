"""The database as SQLAlchemy opens it: SQLite or PostgreSQL."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
# A dead connection is noticed before it is used, and a host that does not answer in some seconds.
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "postgresql": {"pool_pre_ping": True, "connect_args": {"timeout": 3.0}},
}


def open_engine(url: URL) -> AsyncEngine:
    """`url` as `with_driver` gives it. A file of SQLite must be there before the first connection."""
    engine = create_async_engine(_existing(url), **_OPTIONS.get(url.get_backend_name(), {}))
    if (file := file_of(url)) is not None:
        _leave_removed(engine, file)
    return engine


def with_driver(url: str) -> URL:
    """As SQLAlchemy needs it."""
    parsed = make_url(url)
    return parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))


def file_of(url: URL) -> Path | None:
    """Of SQLite."""
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def _leave_removed(engine: AsyncEngine, file: Path) -> None:
    """A connection that is kept would go on reading a file that has been removed."""

    def note(connection: object, record: ConnectionPoolEntry) -> None:
        record.info["file"] = file.stat().st_ino

    def check(connection: object, record: ConnectionPoolEntry, proxy: object) -> None:
        if not file.exists() or file.stat().st_ino != record.info["file"]:
            raise DisconnectionError(f"{file} is not the file that it was")

    event.listen(engine.sync_engine, "connect", note)
    event.listen(engine.sync_engine, "checkout", check)


def _existing(url: URL) -> URL:
    """SQLite would make a file that has been removed again, and it would be empty."""
    file = file_of(url)
    if file is None:
        return url
    return url.set(database=f"file:{quote(str(file))}", query={**url.query, "mode": "rw", "uri": "true"})
