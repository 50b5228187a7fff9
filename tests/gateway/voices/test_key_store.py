"""Keys in every database that the store takes."""

import asyncio

import pytest

from services.gateway.access import key_store
from services.gateway.access.key import KeyLimits, Scope, sha256
from services.gateway.access.key_store import KeyStore
from services.runtime.errors import InvalidRequest, TooLarge

ALL = frozenset(Scope)


@pytest.fixture
def open_keys(open_store):
    async def open_one() -> KeyStore:
        return KeyStore((await open_store()).sessions)

    return open_one


async def test_key_is_found_by_its_hash_after_a_restart(open_keys):
    key, secret = await (await open_keys()).add("Änne \U0001d49c", ALL, KeyLimits(2, 5000), "team")
    issued = await (await open_keys()).issued()
    assert issued.keys == {sha256(secret.encode()): key}
    assert (key.owner, key.limits, key.scopes, issued.guarded) == ("team", KeyLimits(2, 5000), ALL, True)
    assert secret.endswith(key.ending)


async def test_new_database_has_no_keys_and_no_guard(open_keys):
    issued = await (await open_keys()).issued()
    assert (issued.keys, issued.guarded) == ({}, False)


async def test_withdrawn_key_counts_no_more_but_keeps_the_guard(open_keys):
    keys = await open_keys()
    key, _ = await keys.add("a", ALL, KeyLimits())
    assert await keys.remove(key.id)
    assert not await keys.remove(key.id)
    issued = await (await open_keys()).issued()
    assert (issued.keys, issued.guarded) == ({}, True)
    await keys.forget()
    assert not (await keys.issued()).guarded


async def test_keys_made_at_once_are_all_there_and_all_different(open_keys):
    stores = [await open_keys() for _ in range(4)]
    made = await asyncio.gather(*(store.add("a", ALL, KeyLimits()) for store in stores for _ in range(3)))
    assert len({secret for _, secret in made}) == len({key.owner for key, _ in made}) == 12
    assert len((await stores[0].issued()).keys) == 12


async def test_there_are_no_more_keys_than_are_read_at_once(open_keys, monkeypatch):
    monkeypatch.setattr(key_store, "MAX_KEYS", 2)
    keys = await open_keys()
    first, _ = await keys.add("a", ALL, KeyLimits())
    await keys.add("b", ALL, KeyLimits())
    with pytest.raises(TooLarge):
        await keys.add("c", ALL, KeyLimits())
    await keys.remove(first.id)
    await keys.add("c", ALL, KeyLimits())


@pytest.mark.parametrize(
    ("name", "scopes", "field"), [("", ALL, "name"), ("a\0", ALL, "name"), ("\ud800", ALL, "name"), ("a", (), "scopes")]
)
async def test_key_that_makes_no_sense_is_refused(open_keys, name, scopes, field):
    with pytest.raises(InvalidRequest) as raised:
        await (await open_keys()).add(name, frozenset(scopes), KeyLimits())
    assert raised.value.field == field
