"""Keys as a gateway knows them, on a clock of the test's and a store that may be away."""

import asyncio
from datetime import UTC, datetime

import pytest

from services.gateway.access.demands import Open
from services.gateway.access.guard import Guard
from services.gateway.access.key import Key, KeyLimits, Scope, sha256
from services.gateway.access.key_store import Issued
from services.gateway.access.keyring import Keyring
from services.gateway.access.principal import EVERYBODY, GUEST
from services.runtime.errors import StoreUnavailable, Unauthenticated

SECRET = "vx_secret"
KEY = Key("k", "k", "o", frozenset({Scope.SPEAK}), KeyLimits(), sha256(SECRET.encode()), "cret", datetime.now(UTC))
WITH_KEY = Issued({KEY.sha256: KEY}, guarded=True)
NONE = Issued({}, guarded=False)
WITHDRAWN = Issued({}, guarded=True)


class Store:
    """`issued_now`: what is in it, or an error; `held`: while it does not answer."""

    def __init__(self, issued: Issued) -> None:
        self.issued_now: Issued | Exception = issued
        self.held = asyncio.Event()
        self.held.set()
        self.reads = 0

    async def issued(self) -> Issued:
        self.reads += 1
        await self.held.wait()
        if isinstance(self.issued_now, Exception):
            raise self.issued_now
        return self.issued_now


class Gateway:
    def __init__(self, issued: Issued) -> None:
        self.now = 0.0
        self.store = Store(issued)
        self.keyring = Keyring(self.store, lambda: self.now)
        self.guard = Guard(self.keyring)

    async def ask(self, secret: str = SECRET, demand=Scope.SPEAK):
        return await self.guard.admit(demand, [f"Bearer {secret}".encode()])

    async def later(self, seconds: float) -> None:
        """Until what is being read has been."""
        self.now += seconds
        await self.keyring.stop()


async def test_withdrawn_key_is_refused_within_two_seconds():
    gateway = Gateway(WITH_KEY)
    await gateway.ask()
    gateway.store.issued_now = WITHDRAWN
    await gateway.later(2.01)
    with pytest.raises(Unauthenticated):
        await gateway.ask()


async def test_first_key_closes_the_door_within_two_seconds():
    gateway = Gateway(NONE)
    assert await gateway.ask("unused") == EVERYBODY
    gateway.store.issued_now = WITH_KEY
    await gateway.later(2.01)
    with pytest.raises(Unauthenticated):
        await gateway.ask("unused")
    assert (await gateway.ask()).key_id == "k"


async def test_busy_gateway_reads_ahead_so_that_no_request_waits():
    gateway = Gateway(WITH_KEY)
    await gateway.ask()
    gateway.store.held.clear()
    gateway.now += 1.5
    assert (await gateway.ask()).key_id == "k"
    await asyncio.sleep(0)
    assert gateway.store.reads == 2
    gateway.store.held.set()
    await gateway.later(0)


async def test_wrong_keys_are_no_work_for_the_database():
    gateway = Gateway(WITH_KEY)
    for place in range(1000):
        with pytest.raises(Unauthenticated):
            await gateway.ask(f"wrong {place}")
    assert gateway.store.reads == 1


async def test_while_the_database_is_away_known_keys_go_on_and_others_are_unavailable():
    gateway = Gateway(WITH_KEY)
    await gateway.ask()
    gateway.store.issued_now = StoreUnavailable("away")
    for _ in range(10):
        await gateway.later(60)
        assert (await gateway.ask()).key_id == "k"
        with pytest.raises(StoreUnavailable):
            await gateway.ask("added since, perhaps")
        assert await gateway.ask("added since, perhaps", Open.READING) == GUEST
    await gateway.later(0)
    gateway.store.issued_now = WITHDRAWN
    await gateway.later(2)
    await gateway.ask()
    await gateway.later(0)
    with pytest.raises(Unauthenticated):
        await gateway.ask()


async def test_keys_are_not_trusted_for_ever():
    gateway = Gateway(WITH_KEY)
    await gateway.ask()
    gateway.store.issued_now = StoreUnavailable("away")
    await gateway.later(3601)
    with pytest.raises(StoreUnavailable):
        await gateway.ask()


async def test_gateway_that_has_never_read_the_keys_lets_nobody_in_but_the_key_of_the_environment():
    gateway = Gateway(NONE)
    gateway.store.issued_now = StoreUnavailable("away")
    with pytest.raises(StoreUnavailable):
        await gateway.ask()
    guard = Guard(gateway.keyring, "environment")
    assert (await guard.admit(Scope.SPEAK, [b"Bearer environment"])).is_admin
    with pytest.raises(Unauthenticated):
        await guard.admit(Scope.SPEAK, [])


async def test_what_a_key_has_used_stays_when_others_are_made():
    gateway = Gateway(WITH_KEY)
    first = await gateway.ask()
    other = Key("o", "o", "o", frozenset({Scope.SPEAK}), KeyLimits(), "0" * 64, "cret", datetime.now(UTC))
    gateway.store.issued_now = Issued({**WITH_KEY.keys, other.sha256: other}, guarded=True)
    await gateway.later(2.01)
    assert (await gateway.ask()).allowance is first.allowance


@pytest.mark.parametrize(
    "sent",
    [
        [b"Bearer " + b"x" * 1_000_000],
        [b"bearer"],
        [b"Basic vx_secret"],
        [b"vx_secret"],
        [b"Bearer vx_secret", b"Bearer vx_secret"],
        [b"Bearer vx_secret2"],
        [b"Bearer VX_SECRET"],
        [b"Bearer \xff\xfe"],
        [b""],
    ],
    ids=range(9),
)
async def test_anything_but_one_bearer_is_no_key(sent):
    with pytest.raises(Unauthenticated):
        await Gateway(WITH_KEY).guard.admit(Scope.SPEAK, sent)
