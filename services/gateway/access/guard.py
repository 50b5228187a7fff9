"""Lets callers in, or not: the same for every door."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from hmac import compare_digest
from typing import Protocol

from services.gateway.access.demands import Demand, Open
from services.gateway.access.key import Scope, sha256
from services.gateway.access.keyring import Known
from services.gateway.access.principal import ADMIN, EVERYBODY, GUEST, Principal, entered
from services.runtime.errors import StoreUnavailable, Unauthenticated

AUTHORIZATION = "authorization"
# What is longer is no key, and is not looked at.
_MAX_BYTES = 1024
_NO_KEY = "No API key: send it as 'Authorization: Bearer KEY'."
_WRONG_KEY = "This server does not know that API key."


class KnownKeys(Protocol):
    async def known(self) -> Known: ...


class Guard:
    """`api_key`: of the environment, for an admin; empty where there is none. `open_reading`: whether those may read
    who bring no key, or a wrong one. Where there is no key at all everybody may do everything, whatever they send.
    """

    def __init__(self, keys: KnownKeys, api_key: str = "", open_reading: bool = True) -> None:
        self._keys = keys
        self._sha256 = sha256(api_key.encode()) if api_key else ""
        self._open_reading = open_reading

    async def admit(self, demand: Demand, authorization: Sequence[bytes]) -> Principal:
        """`authorization`: the values of the headers, or of the metadata, of this name. Raises Unauthenticated,
        PermissionDenied, and StoreUnavailable where the database is away and the key not known.
        """
        if demand is Open.PROBE:
            return GUEST
        try:
            principal = await self._principal(_secret(authorization))
        except (Unauthenticated, StoreUnavailable):
            if demand is Open.READING and self._open_reading:
                return GUEST
            raise
        if isinstance(demand, Scope):
            principal.require(demand)
        return principal

    async def _principal(self, secret: bytes) -> Principal:
        """What is compared and looked up are hashes, so the time that it takes tells nothing of a key."""
        digest = sha256(secret) if secret else ""
        if self._sha256:
            if compare_digest(digest, self._sha256):
                return ADMIN
            if not secret:
                raise Unauthenticated(_NO_KEY)
        known = await self._keys.known()
        if principal := known.principals.get(digest):
            return principal
        if not self._sha256 and not known.guarded:
            return EVERYBODY
        if not secret:
            raise Unauthenticated(_NO_KEY)
        if not known.current:
            raise StoreUnavailable("This key cannot be looked up now: the database does not answer.")
        raise Unauthenticated(_WRONG_KEY)


@contextmanager
def counted(principal: Principal, demand: Demand) -> Iterator[None]:
    """The length of a request. Raises RateLimited; what is open to all counts for nobody."""
    limited = principal.allowance.request() if isinstance(demand, Scope) else nullcontext()
    with entered(principal), limited:
        yield


def _secret(authorization: Sequence[bytes]) -> bytes:
    """Empty unless there is exactly one, of the form `Bearer KEY`."""
    if len(authorization) != 1 or len(authorization[0]) > _MAX_BYTES:
        return b""
    scheme, _, secret = authorization[0].partition(b" ")
    return secret.strip() if scheme.lower() == b"bearer" else b""
