import itertools

import pytest

from services.gateway.voices.store import VoiceStore

from .postgresql import binaries, cluster

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgresql():
    programs = binaries()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    with cluster(programs) as running:
        yield running


@pytest.fixture
def postgresql_url(postgresql):
    with postgresql.database(f"voices_{next(_numbers)}") as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """Of a new, empty database; every test that takes it runs on each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/not/there/yet/voices.db"
    return request.getfixturevalue("postgresql_url")


@pytest.fixture
async def open_store(url):
    """Opens the same database again and again, as gateways and restarts do."""
    opened = []

    async def open_one(**options) -> VoiceStore:
        store = VoiceStore(url, **options)
        opened.append(store)
        await store.start()
        return store

    yield open_one
    for store in opened:
        await store.stop()
