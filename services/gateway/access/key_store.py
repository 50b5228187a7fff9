"""Where keys are kept: in the database of the voices."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, func, select, update

from services.gateway.access.key import Key, KeyLimits, Scope, ending, new_secret, sha256
from services.gateway.voices.migration import lock
from services.gateway.voices.sessions import Sessions
from services.gateway.voices.tables import KeyRow
from services.runtime.errors import TooLarge

# All are read at once, in every gateway, about once a second.
MAX_KEYS = 1000
_ID_BYTES = 5


@dataclass(frozen=True)
class Issued:
    """By the hash of each key: those that count now. `guarded`: there are keys, or there were until they were
    withdrawn, so that nobody comes in without one.
    """

    keys: Mapping[str, Key]
    guarded: bool


class KeyStore:
    """`sessions`: of the voices' database. Raises StoreUnavailable while it is away."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def add(self, name: str, scopes: frozenset[Scope], limits: KeyLimits, owner: str = "") -> tuple[Key, str]:
        """The key, and the secret that its holder sends, which nobody can find out later. An empty `owner` is a new
        one. Raises InvalidRequest, and TooLarge when there are too many.
        """
        secret, key_id = new_secret(), f"key_{secrets.token_hex(_ID_BYTES)}"
        key = Key(
            id=key_id,
            name=name,
            owner=owner or key_id,
            scopes=scopes,
            limits=limits,
            sha256=sha256(secret.encode()),
            ending=ending(secret),
            created_at=datetime.now(UTC),
        )
        async with self._sessions.begin() as session:
            await lock(await session.connection())
            in_force = select(func.count()).select_from(KeyRow).where(KeyRow.withdrawn_at.is_(None))
            if (await session.scalar(in_force) or 0) >= MAX_KEYS:
                raise TooLarge(f"There are {MAX_KEYS} keys, as many as there may be; remove one first.")
            session.add(_row(key))
        return key, secret

    async def issued(self) -> Issued:
        async with self._sessions() as session:
            query = select(KeyRow).where(KeyRow.withdrawn_at.is_(None)).order_by(KeyRow.created_at)
            keys = [_key(row) for row in await session.scalars(query)]
            guarded = bool(keys) or await session.scalar(select(KeyRow.id).limit(1)) is not None
        return Issued({key.sha256: key for key in keys}, guarded)

    async def remove(self, key_id: str) -> bool:
        """Withdraws it. False when there is none that counts."""
        withdrawn = update(KeyRow).where(KeyRow.id == key_id, KeyRow.withdrawn_at.is_(None))
        withdrawn = withdrawn.values(withdrawn_at=datetime.now(UTC))
        async with self._sessions.begin() as session:
            return (await session.scalars(withdrawn.returning(KeyRow.id))).first() is not None

    async def forget(self) -> None:
        """As if there never had been any: the doors are open."""
        async with self._sessions.begin() as session:
            await session.execute(delete(KeyRow))


def _row(key: Key) -> KeyRow:
    return KeyRow(
        id=key.id,
        name=key.name,
        sha256=key.sha256,
        ending=key.ending,
        owner=key.owner,
        scopes=",".join(sorted(key.scopes)),
        requests_at_once=key.limits.requests_at_once,
        characters_a_minute=key.limits.characters_a_minute,
        created_at=key.created_at,
    )


def _key(row: KeyRow) -> Key:
    return Key(
        id=row.id,
        name=row.name,
        owner=row.owner,
        scopes=frozenset(map(Scope, row.scopes.split(","))),
        limits=KeyLimits(row.requests_at_once, row.characters_a_minute),
        sha256=row.sha256,
        ending=row.ending,
        created_at=row.created_at,
    )
