"""The gateway as surfaces see it: replies, refusals, models, readiness, metrics."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from services.contract.frames import Frames
from services.contract.model import Revision
from services.contract.tokenization import TokenizedRecording
from services.gateway.admission import AdmissionPolicy
from services.gateway.gateway import Gateway, SpeechOptions
from services.gateway.model_names import OPENAI, WIRED_IN, ModelNames
from services.gateway.request import Flush, NamedVoice, Output, SpeechRequest, TextStreamRequest, Turn
from services.gateway.settings import GatewaySettings
from services.gateway.stages import Stages, Targets
from services.gateway.voices.store import VoiceStore
from services.gateway.voices.stored_voice import StoredVoice
from services.runtime.errors import (
    GenerationFailed,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    StageUnavailable,
    VoiceNotFound,
)

from .conftest import PATIENCE, REVISION, speaker_of, text_of


@pytest.fixture
async def gateway(doubles, tmp_path, registry):
    gateway = Gateway(
        Stages(doubles.targets, None),
        VoiceStore(f"sqlite:///{tmp_path}/voices.db"),
        SpeechOptions(AdmissionPolicy(2), 0.0),
        registry,
    )
    await gateway.start()
    async with asyncio.timeout(PATIENCE):
        while gateway.ready():
            await asyncio.sleep(0)
    yield gateway
    await gateway.stop()


def request(text="Hello there.", voice="", **changes) -> SpeechRequest:
    return SpeechRequest((Turn(text, NamedVoice(voice)),), **changes)


def outcomes(registry, outcome) -> float:
    return registry.get_sample_value("voxline_gateway_requests_total", {"outcome": outcome}) or 0.0


async def test_reply_says_what_it_is_and_what_it_took(gateway, registry):
    reply = await gateway.speak(request())
    assert (reply.encoding, reply.media_type, reply.sample_rate) == ("pcm", "audio/pcm", 16000)
    assert text_of(await reply.whole()) == "Hello there."
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (10, 12)
    assert reply.usage.audio_seconds == pytest.approx(12 * 0.02)
    assert outcomes(registry, "ok") == 1


async def test_first_bytes_are_made_before_the_reply_is_given(gateway, doubles):
    reply = await gateway.speak(request())
    await doubles.stop("llm")
    await doubles.stop("detokenizer")
    async with aclosing(reply.chunks) as chunks:
        assert await anext(chunks)


@pytest.mark.parametrize("stage", ["llm", "detokenizer"])
async def test_error_before_the_first_byte_is_raised_in_place_of_a_reply(gateway, doubles, registry, stage):
    async def refuse(place: int) -> None:
        raise GenerationFailed("It broke.")

    getattr(doubles, stage).before = refuse
    with pytest.raises(GenerationFailed, match=r"It broke\."):
        await gateway.speak(request(voice="male"))
    assert outcomes(registry, "generation_failed") == 1


@pytest.mark.parametrize(("stage", "place"), [("llm", 10), ("detokenizer", 2)])
async def test_error_after_the_first_byte_breaks_the_chunks_off(gateway, doubles, registry, stage, place):
    async def refuse_late(now: int) -> None:
        if now == place:
            await heard_some.wait()
            raise GenerationFailed("It broke.")

    heard_some = asyncio.Event()
    getattr(doubles, stage).before = refuse_late
    doubles.llm.draws = lambda request: list(range(1, 40))
    reply = await gateway.speak(request())
    heard_some.set()
    with pytest.raises(GenerationFailed, match=r"It broke\."):
        await reply.whole()
    assert outcomes(registry, "generation_failed") == 1
    assert registry.get_sample_value("voxline_gateway_active_streams") == 0


async def test_unknown_voice_model_and_format_are_refused_as_themselves(gateway, registry):
    with pytest.raises(VoiceNotFound, match="'nobody'"):
        await gateway.speak(request(voice="nobody"))
    with pytest.raises(ModelNotFound, match=r"'gpt-9'.*'double' is served"):
        await gateway.speak(request(model="gpt-9"))
    with pytest.raises(InvalidRequest, match="'midi'"):
        await gateway.speak(request(output=Output("midi")))
    assert [outcomes(registry, code) for code in ("voice_not_found", "model_not_found", "invalid_value")] == [1, 1, 1]


@pytest.mark.parametrize("model", ["", "double", "Double", *OPENAI, *WIRED_IN, "Spark-TTS-0.5B", "TTS-1", "Kokoro"])
async def test_served_model_and_its_aliases_are_accepted(gateway, model):
    await (await gateway.speak(request(model=model))).whole()


async def test_models_are_the_served_one_and_its_aliases(gateway):
    listed = [(model.id, model.alias) for model in gateway.models() if model.listed]
    assert listed == [("double", False), *((alias, True) for alias in OPENAI)]
    assert {model.id for model in gateway.models() if not model.listed} == set(WIRED_IN)


async def test_operator_adds_names_of_models(stages, store, registry):
    options = SpeechOptions(model_names=GatewaySettings(model_aliases="my-voice, Kokoro ,").model_names)
    gateway = Gateway(stages, store, options, registry)
    assert [model.id for model in gateway.models() if model.listed] == ["double", *OPENAI, "my-voice", "Kokoro"]
    assert await (await gateway.speak(request(model="MY-Voice"))).whole()
    with pytest.raises(ModelNotFound, match=r"'double' is served.*'tts-1'.*'my-voice'.*MODEL_ALIASES"):
        await gateway.speak(request(model="my-voice-2"))


def test_name_of_a_model_that_an_operator_adds_may_be_a_wired_in_one():
    assert len({model.id.casefold() for model in ModelNames(("KOKORO",)).all()}) == len(ModelNames(("KOKORO",)).all())


async def test_one_request_too_many_is_told_to_come_again(gateway, registry):
    first, second = [await gateway.speak(request()) for _ in range(2)]
    with pytest.raises(Overloaded) as raised:
        await gateway.speak(request())
    assert raised.value.retry_after == 1.0
    await first.chunks.aclose()
    await (await gateway.speak(request())).whole()
    await second.whole()
    assert [outcomes(registry, outcome) for outcome in ("ok", "overloaded", "cancelled")] == [2, 1, 1]


async def test_reply_that_nobody_reads_frees_its_stages_when_it_is_closed(gateway, doubles):
    async def hold(place: int) -> None:
        if place == 5:
            await asyncio.Event().wait()

    doubles.llm.before = hold
    reply = await gateway.speak(request(voice="male"))
    await reply.chunks.aclose()
    await doubles.llm.live.until(0)
    await doubles.detokenizer.live.until(0)


async def test_listener_who_leaves_before_the_first_byte_frees_the_stages(gateway, doubles, registry):
    doubles.llm.before = lambda place: asyncio.Event().wait()
    asking = asyncio.create_task(gateway.speak(request(voice="male")))
    await doubles.llm.live.until(1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await doubles.llm.live.until(0)
    assert outcomes(registry, "cancelled") == 1


async def test_speaker_of_the_default_voice_is_selected_before_the_first_request(gateway, doubles):
    async with asyncio.timeout(PATIENCE):
        while doubles.llm.made_up < 1:
            await asyncio.sleep(0)
    await doubles.llm.live.until(0)
    await (await gateway.speak(request())).whole()
    assert doubles.llm.made_up == 1


async def test_text_stream_is_spoken_in_the_asked_format(gateway):
    async def pieces():
        yield "Hel"
        yield "lo."
        yield Flush()
        yield " Bye."

    reply = await gateway.speak_stream(TextStreamRequest(NamedVoice(""), output=Output("pcm")), pieces())
    assert text_of(await reply.whole()) == "Hello.Bye."


async def test_text_stream_without_words_is_a_short_silence(gateway):
    async def pieces():
        yield "  "

    reply = await gateway.speak_stream(TextStreamRequest(NamedVoice("")), pieces())
    assert len(await reply.whole()) == 0.2 * 16000 * 2


async def test_created_voice_speaks(gateway, doubles):
    voice = await gateway.voices.create("", "Ann", b"audio", "")
    await (await gateway.speak(request(voice=voice.id))).whole()
    assert doubles.llm.spoken[-1].voice.speaker.global_tokens == (5, *b"aud")


async def test_drain_makes_it_unready_and_lets_replies_end(gateway):
    reply = await gateway.speak(request())
    gateway.drain()
    assert gateway.ready() == ("The gateway is shutting down.",)
    assert text_of(await reply.whole()) == "Hello there."


async def test_ready_once_stored_voices_are_of_the_model_that_is_served(doubles, tmp_path, registry):
    store = VoiceStore(f"sqlite:///{tmp_path}/voices.db")
    await store.start()
    tokens = TokenizedRecording(speaker_of(1), Frames.of_codes([1]), 1.0)
    await store.add(StoredVoice("ann", "Ann", "double", "", tokens, "", "00", datetime.now(UTC)))
    stages = Stages(doubles.targets, None)
    gateway = Gateway(stages, store, SpeechOptions(pause_seconds=0.0), registry)
    await gateway.start()
    async with asyncio.timeout(PATIENCE):
        await stages.until(lambda: not stages.reasons())
        assert gateway.ready() == ("The stored voices are being looked through.",)
        while gateway.ready():
            await asyncio.sleep(0)
    assert (await store.find("ann")).codec_revision == REVISION.codec
    assert text_of(await (await gateway.speak(request(voice="ann"))).whole()) == "Hello there."
    await gateway.stop()


@pytest.mark.parametrize("changed", [Revision(REVISION.codec, "a later llm"), Revision("a later codec", REVISION.llm)])
async def test_model_that_is_rolled_out_is_taken_up_with_speakers_of_its_own(gateway, doubles, changed):
    await (await gateway.speak(request())).whole()
    first = doubles.llm.spoken[-1]
    for name in ("tokenizer", "llm", "detokenizer"):
        double = getattr(doubles, name)
        await doubles.stop(name)
        double.model = replace(double.model, revision=changed)
        await doubles.start(name)
    async with asyncio.timeout(PATIENCE):
        while doubles.llm.requests[-1].revision != changed or gateway.ready():
            await asyncio.sleep(0)
    await (await gateway.speak(request())).whole()
    assert doubles.llm.spoken[-1].revision == changed
    assert doubles.llm.spoken[-1].voice.speaker != first.voice.speaker


async def test_without_stages_everything_says_why(tmp_path):
    nowhere = Targets("127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:1")
    store = VoiceStore(f"sqlite:///{tmp_path}/voices.db")
    gateway = Gateway(Stages(nowhere, None), store, SpeechOptions(), CollectorRegistry())
    await gateway.start()
    assert gateway.ready()
    assert [model.id for model in gateway.models()] == [*OPENAI, *WIRED_IN]
    for call in (gateway.speak(request()), gateway.voices.list(), gateway.voices.get("ann")):
        with pytest.raises(StageUnavailable, match="not known yet"):
            await call
    await gateway.stop()


async def test_silent_text_streams_turn_nobody_away(gateway):
    """More of them than requests may be spoken at once."""

    async def nothing():
        await asyncio.Event().wait()
        yield ""

    silent = [asyncio.create_task(gateway.speak_stream(TextStreamRequest(NamedVoice("")), nothing())) for _ in range(5)]
    await asyncio.sleep(0.1)
    assert text_of(await (await gateway.speak(request())).whole()) == "Hello there."
    for task in silent:
        task.cancel()
    await asyncio.gather(*silent, return_exceptions=True)


async def test_a_text_stream_that_is_spoken_takes_a_slot(gateway):
    async def said():
        yield "Hello there. "
        await asyncio.Event().wait()

    streams = [await gateway.speak_stream(TextStreamRequest(NamedVoice("")), said()) for _ in range(2)]
    with pytest.raises(Overloaded):
        await gateway.speak(request())
    for reply in streams:
        await reply.chunks.aclose()
    assert text_of(await (await gateway.speak(request())).whole()) == "Hello there."
