"""A whole gateway over doubles of the stages, and callers with keys of each kind."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
import httpx
import pytest

from services.gateway.access.key import KeyLimits, Scope
from services.gateway.access.key_store import KeyStore
from services.gateway.process import GatewayProcess
from services.gateway.settings import GatewaySettings
from services.gateway.voices.store import VoiceStore

from ..conftest import PATIENCE

ENVIRONMENT = "the key of the environment"
BOTH = {Scope.SPEAK, Scope.VOICES}


@pytest.fixture
def settings(doubles, tmp_path):
    """As keyword arguments."""
    targets = doubles.targets
    return {
        "port": 0,
        "http_port": 0,
        "metrics_port": 0,
        "tokenizer": targets.tokenizer,
        "llm": targets.llm,
        "detokenizer": targets.detokenizer,
        "database": f"sqlite:///{tmp_path}/voices.db",
        "drain_seconds": 0.0,
        "grace_seconds": PATIENCE,
    }


@dataclass
class Doors:
    """Both doors of a running gateway; `keys` in its database."""

    http: httpx.AsyncClient
    channel: grpc.aio.Channel
    keys: KeyStore

    async def rest(self, method: str, path: str, secret: str | None = None, **body) -> httpx.Response:
        # httpx sends no blank at the end.
        headers = {} if secret is None else {"authorization": f"Bearer {secret}".rstrip()}
        return await self.http.request(method, path, headers=headers, **body)

    async def rpc(
        self, method: str, messages: list[bytes], secret: str | None = None
    ) -> tuple[grpc.StatusCode, list[bytes]]:
        """How a call ends, whatever its kind; a watch is left after its first answer."""
        metadata = () if secret is None else (("authorization", f"Bearer {secret}"),)
        call = self.channel.stream_stream(method)(iter(messages), metadata=metadata, timeout=PATIENCE)
        answers = []
        try:
            async for answer in call:
                answers.append(answer)
                if method.endswith("/Watch"):
                    call.cancel()
                    return grpc.StatusCode.OK, answers
        except grpc.aio.AioRpcError as error:
            return error.code(), answers
        return grpc.StatusCode.OK, answers


@asynccontextmanager
async def opened(settings, keys):
    """A gateway with these settings, which can speak."""
    process = GatewayProcess(GatewaySettings(**settings))
    await process.start()
    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{process.http.port}", timeout=PATIENCE) as http,
        grpc.aio.insecure_channel(f"127.0.0.1:{process.grpc.port}") as channel,
    ):
        async with asyncio.timeout(PATIENCE):
            while (await http.get("/readyz")).status_code != 200:
                await asyncio.sleep(0)
        yield Doors(http, channel, keys)
    await process.stop()


@pytest.fixture
async def keys(settings):
    store = VoiceStore(settings["database"])
    await store.start()
    yield KeyStore(store.sessions)
    await store.stop()


async def key(keys, *scopes, owner="", limits=None) -> str:
    """The secret of a new key."""
    return (await keys.add("a key", frozenset(scopes), limits or KeyLimits(), owner))[1]


@pytest.fixture
async def secrets(keys):
    """By caller; None sends nothing."""
    withdrawn, withdrawn_secret = await keys.add("withdrawn", frozenset(Scope), KeyLimits())
    await keys.remove(withdrawn.id)
    return {
        "nobody": None,
        "empty": "",
        "wrong": "vx_" + "x" * 43,
        "long": "x" * 8000,
        "withdrawn": withdrawn_secret,
        "speak": await key(keys, Scope.SPEAK),
        "voices": await key(keys, Scope.VOICES),
        "owner": await key(keys, *BOTH),
        "other": await key(keys, *BOTH),
        "admin": await key(keys, Scope.ADMIN),
        "environment": ENVIRONMENT,
    }


@pytest.fixture
async def doors(settings, keys, secrets):
    async with opened(settings | {"api_key": ENVIRONMENT}, keys) as doors:
        yield doors
