"""Hostile callers, each of which ends by itself. What comes back is not judged here, only what it does to others."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle, islice

import grpc
import httpx

from bench.hostile.texts import worst_texts
from voxline.v1 import text_to_speech_pb2 as pb
from voxline.v1 import text_to_speech_pb2_grpc

# Callers of one kind at once.
_CALLERS = 4
_SPEECH = "/v1/audio/speech"
_HEAD = f"POST {_SPEECH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n".encode()
_MEBIBYTE = 2**20


@dataclass(frozen=True)
class Target:
    """`url` of the REST API, `grpc` address."""

    url: str
    grpc: str

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://").rpartition(":")[0]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


Attack = Callable[[Target, int], Awaitable[int]]


async def texts_whole(target: Target, count: int) -> int:
    async with _client(target) as client:
        return await _each(_texts(count), lambda text: _spoken(client, {"input": text}))


async def texts_left(target: Target, count: int) -> int:
    """Their callers leave after the first sound."""
    async with _client(target) as client:
        return await _each(_texts(count), lambda text: _spoken(client, {"input": text}, leave=True))


async def texts_per_character(target: Target, count: int) -> int:
    return await _text_streams(target, count, list)


async def texts_in_one_piece(target: Target, count: int) -> int:
    return await _text_streams(target, count, lambda text: [text])


async def bodies(target: Target, count: int) -> int:
    """JSON that is large, deep, wide, escaped or no speech at all."""
    async with _client(target) as client:
        return await _each(islice(cycle(_bodies()), count), lambda body: _posted(client, _SPEECH, body))


async def uploads(target: Target, count: int) -> int:
    """As large as they may be."""
    noise = random.Random(0).randbytes(10 * _MEBIBYTE - 2000)
    async with _client(target) as client:
        return await _each(
            range(count), lambda number: _voice(client, noise[number:], {"name": f"noise {number}"}), callers=2
        )


async def names_and_transcripts(target: Target, count: int) -> int:
    async with _client(target) as client:
        return await _each(
            _texts(count), lambda text: _voice(client, b"RIFF", {"name": text, "transcript": text, "id": text[:100]})
        )


async def instructions(target: Target, count: int) -> int:
    async with _client(target) as client:
        body = {"input": "Hello.", "voice": "alloy"}
        return await _each(_texts(count), lambda text: _spoken(client, body | {"instructions": text[:4096]}))


async def slow_readers(target: Target, count: int) -> int:
    """Ask for a long reply, and read none of it."""
    body = json.dumps({"input": "A long text that nobody reads. " * 1500, "response_format": "wav"}).encode()
    head = (
        f"POST {_SPEECH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return await _held(target, [head.encode() + body] * count)


async def slow_senders(target: Target, count: int) -> int:
    """Send half a head, or half a body, and no more."""
    halves = (_HEAD, _HEAD + b"content-length: 500\r\n\r\n{")
    return await _held(target, list(islice(cycle(halves), count)))


async def silent_streams(target: Target, count: int) -> int:
    """Text streams that say nothing."""
    async with grpc.aio.insecure_channel(target.grpc) as channel:
        stub = text_to_speech_pb2_grpc.TextToSpeechServiceStub(channel)
        calls = [stub.StreamingSynthesize() for _ in range(count)]
        for call in calls:
            with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await call.write(pb.StreamingSynthesizeRequest(config=pb.SynthesizeRequest()))
        await asyncio.sleep(_HELD_SECONDS)
        for call in calls:
            call.cancel()
    return count


ATTACKS: Mapping[str, Attack] = {
    "texts, whole": texts_whole,
    "texts, left": texts_left,
    "texts, per character": texts_per_character,
    "texts, in one piece": texts_in_one_piece,
    "bodies": bodies,
    "instructions": instructions,
    "names and transcripts": names_and_transcripts,
    "uploads": uploads,
    "slow readers": slow_readers,
    "slow senders": slow_senders,
    "silent streams": silent_streams,
}
# How many of each, for one thousand texts.
SHARES: Mapping[str, float] = {
    "texts, whole": 1.0,
    "texts, left": 0.025,
    "texts, per character": 0.5,
    "texts, in one piece": 0.5,
    "bodies": 0.2,
    "instructions": 0.5,
    "names and transcripts": 0.5,
    "uploads": 0.02,
    "slow readers": 0.06,
    "slow senders": 0.3,
    "silent streams": 0.08,
}
# How long a caller who does nothing is watched.
_HELD_SECONDS = 15.0


def _texts(count: int) -> Iterable[str]:
    """Of all classes, whatever `count` is."""
    found = [text for _, text in worst_texts()]
    random.Random(count).shuffle(found)
    return islice(cycle(found), count)


def _bodies() -> list[bytes]:
    return [
        b"[" * 200_000,
        b'{"input":' * 100_000,
        json.dumps({"input": "Hello.", "extra": {str(number): number for number in range(250_000)}}).encode(),
        json.dumps({"input": "Hello.", "extra": list(range(500_000))}).encode(),
        b'{"input": "' + b"\\u0301" * 600_000 + b'"}',
        b'{"input": "' + b"\\ud800" * 600_000 + b'"}',
        json.dumps({"input": ["a"] * 500_000}).encode(),
        json.dumps({"input": "Hi.", "speed": "9" * 1_000_000}).encode(),
        json.dumps({"input": "Hi.", "response_format": "m" * 3_000_000}).encode(),
        b'{"input": "Hi.", "seed": ' + b"9" * 4000 + b"}",
        b"\xff" * 3_000_000,
        b'{"input": "Hi.", "pad": "' + b"a" * 24_000_000 + b'"}',
    ]


async def _each(items: Iterable[object], call: Callable[..., Awaitable[None]], callers: int = _CALLERS) -> int:
    """-> how many calls were made."""
    waiting = iter(items)
    made = 0

    async def caller() -> None:
        nonlocal made
        for item in waiting:
            made += 1
            await call(item)

    await asyncio.gather(*(caller() for _ in range(callers)))
    return made


def _client(target: Target) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=target.url, timeout=300, trust_env=False)


async def _spoken(client: httpx.AsyncClient, body: dict[str, object], leave: bool = False) -> None:
    speech = json.dumps(body | {"response_format": "pcm", "sample_rate": "native"}).encode()
    await _posted(client, _SPEECH, speech, leave)


async def _posted(client: httpx.AsyncClient, path: str, body: bytes, leave: bool = False) -> None:
    """Read to the end, or until something has come."""
    with suppress(httpx.TransportError):
        request = client.stream("POST", path, content=body, headers={"content-type": "application/json"})
        async with request as reply:
            async for _ in reply.aiter_raw():
                if leave:
                    return


async def _voice(client: httpx.AsyncClient, audio: bytes, fields: dict[str, str]) -> None:
    with suppress(httpx.TransportError):
        await client.post("/v1/audio/voices", data=fields, files={"audio_sample": ("a.wav", audio)})


async def _text_streams(target: Target, count: int, cut: Callable[[str], list[str]]) -> int:
    async with grpc.aio.insecure_channel(target.grpc) as channel:
        stub = text_to_speech_pb2_grpc.TextToSpeechServiceStub(channel)

        async def spoken(text: str) -> None:
            async def requests() -> AsyncIterator[pb.StreamingSynthesizeRequest]:
                yield pb.StreamingSynthesizeRequest(config=pb.SynthesizeRequest())
                for piece in cut(text):
                    yield pb.StreamingSynthesizeRequest(text=piece)

            with suppress(grpc.aio.AioRpcError):
                async for _ in stub.StreamingSynthesize(requests()):
                    pass

        return await _each(_texts(count), spoken)


async def _held(target: Target, sent: list[bytes]) -> int:
    """Connections that send this and then do nothing."""
    connections = []
    for data in sent:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(target.host, target.port, limit=2**10)
            writer.write(data)
            connections.append((reader, writer))
    await asyncio.sleep(_HELD_SECONDS)
    for _, writer in connections:
        writer.close()
    return len(connections)
