"""openai-python, unmodified, against the running stack: what comes back is the speech that was asked for."""

import base64
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import av
import numpy as np
import openai
import pytest

RECORDING = Path(__file__).parents[1] / "parity" / "spark-tiny" / "input.wav"
TEXT = "Hello there."
SEED = {"seed": 7}


def decoded(data: bytes) -> tuple[int, np.ndarray]:
    """Sample rate, and [T] samples in [-1, 1]."""
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.audio[0]
        to_float = av.AudioResampler("fltp", "mono", stream.rate)
        pieces = [piece.to_ndarray()[0] for frame in container.decode(stream) for piece in to_float.resample(frame)]
        return stream.rate, np.concatenate(pieces)


@pytest.fixture
async def sdk(stack_url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{stack_url}/v1", api_key="unused", max_retries=0) as sdk:
        yield sdk


async def speech(sdk: openai.AsyncOpenAI, encoding: str, **fields: object) -> bytes:
    reply = await sdk.audio.speech.create(
        model="tts-1", voice="alloy", input=TEXT, response_format=encoding, extra_body=SEED | fields
    )
    return reply.content


@pytest.mark.parametrize(
    ("encoding", "rate"), [("mp3", 24_000), ("opus", 48_000), ("aac", 24_000), ("flac", 24_000), ("wav", 24_000)]
)
async def test_every_format_holds_the_same_speech(sdk: openai.AsyncOpenAI, encoding: str, rate: int) -> None:
    raw = np.frombuffer(await speech(sdk, "pcm"), "<i2") / 32_768
    found, samples = decoded(await speech(sdk, encoding))
    assert found == rate
    assert len(samples) / rate == pytest.approx(len(raw) / 24_000, abs=0.15)
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(np.sqrt(np.mean(raw**2)), rel=0.15)
    assert np.sqrt(np.mean(raw**2)) > 0.01


async def test_the_native_rate_is_had_on_request(sdk: openai.AsyncOpenAI) -> None:
    resampled, native = await speech(sdk, "pcm"), await speech(sdk, "pcm", sample_rate="native")
    assert len(native) / len(resampled) == pytest.approx(16 / 24, rel=0.02)


async def test_events_join_to_the_same_stream(sdk: openai.AsyncOpenAI) -> None:
    create = sdk.audio.speech.with_streaming_response.create
    async with create(
        model="gpt-4o-mini-tts", voice="alloy", input=TEXT, response_format="mp3", stream_format="sse", extra_body=SEED
    ) as reply:
        lines = [line async for line in reply.iter_lines() if line]
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    joined = decoded(b"".join(base64.b64decode(event.get("audio", "")) for event in events))[1]
    whole = decoded(await speech(sdk, "mp3"))[1]
    assert len(joined) == len(whole)
    assert np.abs(joined - whole).max() < 0.05
    assert events[-1]["type"] == "speech.audio.done"
    assert events[-1]["usage"]["output_tokens"] > 0


async def test_the_first_sound_comes_before_the_last_is_made(sdk: openai.AsyncOpenAI) -> None:
    """The second half of a long text is cancelled; the server is free again at once."""
    create = sdk.audio.speech.with_streaming_response.create
    async with create(model="tts-1", voice="nova", input="One more sentence. " * 200, response_format="pcm") as reply:
        assert await anext(reply.iter_bytes())
    assert await speech(sdk, "pcm")


async def test_models_and_voices_are_listed(sdk: openai.AsyncOpenAI, stack_url: str) -> None:
    models = [model.id for model in (await sdk.models.list()).data]
    assert {"tts-1", "tts-1-hd", "gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-12-15"} < set(models)
    listed = await sdk.get(f"{stack_url}/v1/audio/voices", cast_to=dict[str, list[dict[str, str]]])
    voices = {voice["id"] for voice in listed["voices"]}
    assert {"female", "male", "alloy", "ash", "ballad", "coral", "echo", "fable", "onyx", "nova"} <= voices
    assert {"sage", "shimmer", "verse", "marin", "cedar"} <= voices


async def test_a_cloned_voice_speaks_until_it_is_deleted(sdk: openai.AsyncOpenAI) -> None:
    voice = await sdk.audio.voices.create(name="Python smoke", audio_sample=RECORDING, consent="cons_1")
    spoken = await sdk.audio.speech.create(model="tts-1", voice={"id": voice.id}, input=TEXT, response_format="wav")
    assert len(decoded(spoken.content)[1]) > 0.2 * 24_000
    assert (await sdk.audio.voices.delete(voice.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await sdk.audio.speech.create(model="tts-1", voice={"id": voice.id}, input=TEXT)


async def test_what_is_no_audio_is_no_voice(sdk: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await sdk.audio.voices.create(name="Noise", audio_sample=("a.wav", b"no audio at all"), consent="cons_1")
    assert raised.value.param == "audio_sample"


@pytest.mark.parametrize(
    ("fields", "error", "param"),
    [
        ({"voice": "nobody"}, openai.NotFoundError, "voice"),
        ({"model": "gpt-9"}, openai.NotFoundError, "model"),
        ({"speed": 5}, openai.BadRequestError, "speed"),
        ({"temperature": -1}, openai.BadRequestError, "temperature"),
        ({"top_p": 2}, openai.BadRequestError, "top_p"),
        ({"sample_rate": 12_345}, openai.BadRequestError, "sample_rate"),
        ({"input": " "}, openai.BadRequestError, "input"),
    ],
    ids=str,
)
async def test_a_mistake_is_named(
    sdk: openai.AsyncOpenAI, fields: dict[str, object], error: type[openai.APIStatusError], param: str
) -> None:
    with pytest.raises(error) as raised:
        await sdk.audio.speech.create(model="tts-1", voice="alloy", input=TEXT, extra_body=fields)
    assert raised.value.param == param


@pytest.mark.parametrize("text", [".", "...", "\N{GRINNING FACE}"])
async def test_nothing_to_say_is_a_short_silence(sdk: openai.AsyncOpenAI, text: str) -> None:
    reply = await sdk.audio.speech.create(model="tts-1", voice="alloy", input=text, response_format="mp3")
    rate, samples = decoded(reply.content)
    assert 0 < len(samples) < rate
    assert np.abs(samples).max() < 0.01
