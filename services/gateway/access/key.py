"""A key: whoever sends it may do what it says. Only its hash is kept; the key itself is shown once, to who made it."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.runtime.errors import InvalidRequest

# Tells people and scanners of leaked secrets what it is.
_PREFIX = "vx_"
_RANDOM_BYTES = 32
_ENDING_CHARACTERS = 4
_MAX_NAME_CHARACTERS = 100


class Scope(StrEnum):
    """What a key may be good for. An admin may all, with everybody's voices."""

    SPEAK = "speak"
    VOICES = "voices"
    ADMIN = "admin"


@dataclass(frozen=True)
class KeyLimits:
    """Of one key, in each gateway; 0 sets none."""

    requests_at_once: int = 0
    characters_a_minute: int = 0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < 2**31:
                raise InvalidRequest(f"{name} is {value}; it must lie between 0, for none, and 2^31 - 1.", field=name)


@dataclass(frozen=True)
class Key:
    """`owner`: of the voices that are made with it; several keys may have one owner. `sha256` in hexadecimal digits,
    `ending`: the last characters of the key; `created_at` in UTC.
    """

    id: str
    name: str
    owner: str
    scopes: frozenset[Scope]
    limits: KeyLimits
    sha256: str
    ending: str
    created_at: datetime

    def __post_init__(self) -> None:
        if not 1 <= len(self.name) <= _MAX_NAME_CHARACTERS or not self.name.isprintable():
            raise InvalidRequest(
                f"The name of a key has 1 to {_MAX_NAME_CHARACTERS} printable characters.", field="name"
            )
        if not self.scopes:
            raise InvalidRequest(f"A key needs a scope: {', '.join(Scope)}.", field="scopes")


def new_secret() -> str:
    return _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def ending(secret: str) -> str:
    return secret[-_ENDING_CHARACTERS:]


def sha256(secret: bytes) -> str:
    """Slow hashes are for passwords: nobody guesses 256 random bits."""
    return hashlib.sha256(secret).hexdigest()
