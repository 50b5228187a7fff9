"""A database that goes away and comes back, under a gateway: what needs it is told so, all else goes on."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from services.gateway.process import GatewayProcess
from services.gateway.settings import GatewaySettings

from ..conftest import PATIENCE

SPEECH, VOICES = "/v1/audio/speech", "/v1/audio/voices"


@dataclass
class Database:
    url: str
    go: Callable[[], None]
    come: Callable[[], None]


class Locked:
    """By another program that does not let go."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def go(self) -> None:
        self._connection = sqlite3.connect(self._path, isolation_level=None)
        self._connection.execute("BEGIN EXCLUSIVE")

    def come(self) -> None:
        self._connection.close()


@pytest.fixture(params=["stopped", "removed", "locked"])
def database(request, tmp_path):
    path, away = tmp_path / "a b" / "voices.db", tmp_path / "away.db"
    locked = Locked(path)
    match request.param:
        case "stopped":
            cluster = request.getfixturevalue("postgresql")
            return Database(request.getfixturevalue("postgresql_url"), cluster.stop, cluster.start)
        case "removed":
            return Database(f"sqlite:///{path}", lambda: path.rename(away), lambda: away.rename(path))
        case "locked":
            return Database(f"sqlite:///{path}", locked.go, locked.come)


@pytest.fixture
async def http(doubles, database):
    targets = doubles.targets
    settings = GatewaySettings(
        port=0,
        http_port=0,
        metrics_port=0,
        tokenizer=targets.tokenizer,
        llm=targets.llm,
        detokenizer=targets.detokenizer,
        database=database.url,
    )
    process = GatewayProcess(settings)
    await process.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{process.http.port}", timeout=PATIENCE) as http:
        http.metrics_port = process.grpc.metrics_port
        await until(http, "ready")
        yield http
    await process.stop()


async def until(http, status: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await http.get("/readyz")).json()["status"] != status:
            await asyncio.sleep(0.01)


async def speak(http, voice: str) -> httpx.Response:
    return await http.post(SPEECH, json={"input": "Hello there.", "voice": voice, "response_format": "pcm"})


async def create(http, name: str) -> httpx.Response:
    return await http.post(VOICES, data={"name": name}, files={"audio_sample": ("a.wav", name.encode())})


async def up(http) -> bool:
    text = (await http.get(f"http://127.0.0.1:{http.metrics_port}/metrics")).text
    return "voxline_gateway_database_up 1.0" in text


async def test_what_needs_it_is_503_and_the_rest_goes_on_until_it_is_back(http, database, caplog):
    caplog.set_level(logging.INFO)
    for name in ("Anna", "Ben"):
        assert (await create(http, name)).status_code == 200
    for voice in ("anna", "alloy"):
        assert (await speak(http, voice)).status_code == 200
    assert await up(http)
    database.go()
    replies = [
        await create(http, "Carl"),
        await http.get(VOICES),
        await speak(http, "ben"),
        await speak(http, "nobody"),
    ]
    replies += [await http.delete(f"{VOICES}/anna"), await speak(http, "onyx")]
    for reply in replies:
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "store_unavailable")
        assert int(reply.headers["retry-after"]) >= 1
    for voice in ("anna", "alloy"):
        assert (await speak(http, voice)).status_code == 200
    ready = await http.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert not await up(http)
    database.come()
    await until(http, "ready")
    assert await up(http)
    for voice in ("anna", "ben", "onyx"):
        assert (await speak(http, voice)).status_code == 200
    assert (await create(http, "Carl")).status_code == 200
    said = [record.getMessage() for record in caplog.records if "voice database" in record.getMessage()]
    assert [line.partition(":")[0] for line in said] == ["the voice database is away", "the voice database is back"]
    assert not [record for record in caplog.records if record.exc_info]


async def test_it_is_noticed_though_nobody_asks(http, database):
    database.go()
    await until(http, "degraded")
    database.come()
    await until(http, "ready")
