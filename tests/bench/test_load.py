"""Both loops and the listener, against a server in this process."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import StreamingResponse

from bench.listener import Failed, Heard, TurnedAway
from bench.load import closed_loop, open_loop
from bench.system import System
from bench.texts import asks

RATE = 16_000
SECOND = b"\0\x40" * RATE


class Voice:
    """Speaks a second, but is busy for each third request and broken for seed 7; `most`: requests at once so far."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.now = self.most = 0

    async def speak(self, body: dict[str, object]) -> Response:
        self.bodies.append(body)
        if body["seed"] == 7:
            return Response(status_code=500)
        if len(self.bodies) % 3 == 0:
            return Response(status_code=429, headers={"retry-after": "0"})
        return StreamingResponse(self.chunks())

    async def chunks(self) -> AsyncIterator[bytes]:
        self.now += 1
        self.most = max(self.most, self.now)
        for _ in range(10):
            await asyncio.sleep(0)
            yield SECOND[: len(SECOND) // 10]
        self.now -= 1


@pytest.fixture
def voice() -> Voice:
    return Voice()


@pytest.fixture
async def system(voice: Voice) -> AsyncIterator[System]:
    app = FastAPI()
    app.post("/v1/audio/speech", response_model=None)(voice.speak)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", ws="none"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield System("voice", f"http://127.0.0.1:{port}", {}, RATE)
    server.should_exit = True
    await serving


async def test_closed_loop_asks_so_many_times_by_so_many_listeners(system: System, voice: Voice) -> None:
    run = await closed_loop(system, streams=3, replies=9, asks=asks())
    assert sorted(body["seed"] for body in voice.bodies) == list(range(9))
    assert voice.most <= 3
    assert sum(isinstance(outcome, Heard) for outcome in run.outcomes) == 5
    assert sum(isinstance(outcome, TurnedAway) for outcome in run.outcomes) == 3
    assert Failed("500") in run.outcomes


async def test_reply_is_as_long_as_what_came(system: System) -> None:
    run = await closed_loop(system, streams=1, replies=1, asks=asks())
    (heard,) = run.outcomes
    assert isinstance(heard, Heard)
    assert heard.audio == pytest.approx(1.0)
    assert 0 < heard.ttfa < run.seconds


async def test_open_loop_asks_once_for_each_arrival(system: System, voice: Voice) -> None:
    run = await open_loop(system, (0.0, 0.0, 0.01, 0.02), asks())
    assert len(run.outcomes) == len(voice.bodies) == 4
    assert run.seconds >= 0.02


async def test_nobody_listening_is_a_failure_that_is_counted() -> None:
    run = await closed_loop(System("gone", "http://127.0.0.1:9", {}, RATE), 1, 1, asks())
    assert run.outcomes == [Failed("ClientConnectorError")]


def test_length_is_fixed_where_the_model_never_stops() -> None:
    free, fixed = next(asks()), next(asks(fixed_length=True))
    assert free.max_tokens is None
    assert fixed.max_tokens == 3 * len(fixed.text)
