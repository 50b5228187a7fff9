from collections.abc import AsyncGenerator

import numpy as np
import pytest

from services.gateway.audio.encoders import ENCODERS
from services.gateway.reply import Encoding, Reply, Usage
from services.gateway.request import Output
from services.runtime.audio import Audio
from services.runtime.errors import InvalidRequest, StageUnavailable
from services.runtime.streams import collected
from services.runtime.turns import Turns

RATE = 16000


async def tone(seconds=1.0, chunk=0.1):
    times = np.arange(round(seconds * RATE)) / RATE
    samples = (0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    for part in np.array_split(samples, round(seconds / chunk)):
        yield Audio(part, RATE)


async def encoded(output: Output, usage: Usage) -> bytes:
    encoding = Encoding(output, RATE, Turns())
    chunks = encoding.chunks(tone(), usage)
    return await Reply(output.encoding, encoding.media_type, encoding.sample_rate, chunks, usage).whole()


async def test_pcm_at_the_models_rate_is_its_samples():
    usage = Usage()
    data = np.frombuffer(await encoded(Output("pcm"), usage), "<i2")
    expected = np.concatenate([audio.samples async for audio in tone()])
    assert np.abs(data / 32767 - expected).max() < 1e-4
    assert usage.audio_seconds == pytest.approx(1.0)


async def test_pcm_at_another_rate_lasts_as_long():
    data = await encoded(Output("pcm", 24000), Usage())
    assert abs(len(data) / 2 - 24000) <= 1


async def test_speed_shortens_what_is_heard_and_what_is_billed():
    usage = Usage()
    data = await encoded(Output("pcm", speed=2.0), usage)
    assert len(data) / 2 == pytest.approx(RATE / 2, abs=1)
    assert usage.audio_seconds == pytest.approx(0.5, abs=0.001)


@pytest.mark.parametrize("name", ENCODERS)
async def test_every_format_names_its_media_type_and_gives_no_empty_chunk(name):
    encoding = Encoding(Output(name, 24000), RATE, Turns())
    chunks = [chunk async for chunk in encoding.chunks(tone(), Usage())]
    assert all(chunks)
    assert encoding.media_type == ENCODERS[name].media_type


async def test_header_of_a_whole_reply_states_the_length():
    data = await encoded(Output("wav", whole=True), Usage())
    assert int.from_bytes(data[40:44], "little") == len(data) - 44 == 2 * RATE


@pytest.mark.parametrize("name", ["wav", "pcm"])
async def test_a_whole_reply_is_handed_on_in_pieces(name):
    """A large one at once would hold up every other reply."""
    chunks = [
        chunk async for chunk in Encoding(Output(name, 48000, whole=True), RATE, Turns()).chunks(tone(30), Usage())
    ]
    assert max(map(len, chunks)) <= 256 * 1024
    assert len(b"".join(chunks)) > 2 * 256 * 1024


def test_unknown_format_is_refused_with_those_that_there_are():
    with pytest.raises(InvalidRequest, match=r"'midi'.*mp3, opus") as raised:
        Encoding(Output("midi"), RATE, Turns())
    assert raised.value.field == "encoding"


async def test_chunks_close_the_audio_they_come_from():
    closed = []

    async def source():
        try:
            async for audio in tone():
                yield audio
        finally:
            closed.append(True)

    chunks = Encoding(Output("pcm"), RATE, Turns()).chunks(source(), Usage())
    await anext(chunks)
    await chunks.aclose()
    assert closed


async def test_audio_of_another_rate_is_no_part_of_a_reply() -> None:
    """The model was exchanged while the request waited."""

    async def source() -> AsyncGenerator[Audio, None]:
        yield Audio(np.zeros(2400, np.float32), 24000)

    with pytest.raises(StageUnavailable, match="Another model"):
        await collected(Encoding(Output("pcm"), RATE, Turns()).chunks(source(), Usage()))
