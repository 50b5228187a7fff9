"""Brings a database to the schema of `tables`, by the scripts in `migrations`. Several gateways may start at once: one
does it, the others wait for it.
"""

import logging
import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

logger = logging.getLogger(__name__)

_SCRIPTS = Path(__file__).parent / "migrations"
# Any number that no other program takes in the same database.
_ADVISORY_LOCK = 0x766F786C696E65


async def migrate(engine: AsyncEngine, revision: str = "head") -> None:
    """In one transaction: all of it, or nothing."""
    async with engine.begin() as connection:
        await lock(connection)
        await connection.run_sync(_upgrade, revision)


async def lock(connection: AsyncConnection) -> None:
    """Lets one of all gateways in until its transaction ends; the first statement of the transaction. Readers go on.
    However long another takes: the database frees the lock of one that died.
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _ADVISORY_LOCK})
        return
    while not await _begun(connection):
        logger.info("waiting for another gateway, which writes to the database")


async def _begun(connection: AsyncConnection) -> bool:
    """SQLite: False when others held the file for as long as the driver waits, some seconds. The driver begins no
    transaction for statements that change the schema, so it is begun here; it is ended as any other.
    """
    try:
        await connection.exec_driver_sql("BEGIN IMMEDIATE")
    except OperationalError as exc:
        if getattr(exc.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            return False
        raise
    return True


def _upgrade(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
