import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from services.contract.design import DesignedVoice, Gender, Level
from services.contract.frames import Frames
from services.contract.generation import HeardVoice, MadeUpVoice, Turn
from services.contract.model import Capability, Revision
from services.contract.tokenization import TokenizedRecording
from services.gateway.limits import ValueLimits
from services.gateway.metrics import GatewayMetrics
from services.gateway.request import NamedVoice, ReferenceVoice, Style
from services.gateway.voices.aliases import ALIASES
from services.gateway.voices.catalogue import VoiceCatalogue
from services.gateway.voices.resolver import VoiceResolver
from services.gateway.voices.store import VoiceStore
from services.gateway.voices.stored_voice import StoredVoice
from services.runtime.errors import (
    EngineDied,
    GenerationFailed,
    InvalidRequest,
    Overloaded,
    StageUnavailable,
    VoiceNotFound,
    WrongRevision,
)

from ..conftest import REVISION, speaker_of

DESIGN = DesignedVoice(Gender.FEMALE, Level.HIGH)


class Resolving:
    """The resolver, of what the stages serve now."""

    def __init__(self, stages, store) -> None:
        self._stages = stages
        self._resolver = VoiceResolver(stages, store, GatewayMetrics(CollectorRegistry()))

    async def resolve(self, voice, style):
        return await self._resolver.resolve(voice, style, self._stages.model())

    def heeded(self, voice, style):
        return self._resolver.heeded(voice, style, self._stages.model())


@pytest.fixture
def resolver(stages, store):
    return Resolving(stages, store)


async def test_designed_voice_keeps_the_speaker_that_was_made_up_first(resolver, doubles):
    first = await resolver.resolve(DESIGN, Style())
    assert first == MadeUpVoice(DESIGN, speaker_of(1, 1, 1, 1))
    assert await resolver.resolve(DESIGN, Style()) == first
    assert len(doubles.llm.requests) == 1


async def test_designed_voice_is_the_same_after_a_restart(stages, doubles, tmp_path):
    resolved = []
    for _ in range(2):
        store = VoiceStore(f"sqlite:///{tmp_path}/voices.db")
        await store.start()
        resolved.append(await Resolving(stages, store).resolve(DESIGN, Style()))
        await store.stop()
    assert resolved[0] == resolved[1]
    assert len(doubles.llm.requests) == 1


async def test_racing_requests_for_a_new_design_get_one_speaker(resolver):
    resolved = await asyncio.gather(*(resolver.resolve(DESIGN, Style()) for _ in range(5)))
    assert len(set(resolved)) == 1


async def test_speaker_selection_does_not_depend_on_chance_and_frees_the_sequence(resolver, doubles):
    doubles.llm.before = lambda place: asyncio.Event().wait()
    await resolver.resolve(DESIGN, Style())
    assert doubles.llm.requests[0].sampling.seed is not None
    await doubles.llm.live.until(0)


async def test_speaker_selection_that_fails_is_tried_with_another_seed(resolver, doubles):
    doubles.llm.speaker = failing_once(doubles.llm.speaker, GenerationFailed("half"))
    assert (await resolver.resolve(DESIGN, Style())).speaker is not None
    seeds = [request.sampling.seed for request in doubles.llm.requests]
    assert len(set(seeds)) == 2


async def test_speaker_selection_without_capacity_says_so(resolver, doubles):
    doubles.llm.speaker = failing_once(doubles.llm.speaker, Overloaded("No room.", retry_after=3.0))
    with pytest.raises(Overloaded, match=r"No room\.") as raised:
        await resolver.resolve(DESIGN, Style())
    assert raised.value.retry_after == 3.0


@pytest.mark.parametrize(
    "error", [EngineDied("Dead."), StageUnavailable("It ends."), WrongRevision("Another is served here.")]
)
async def test_speaker_is_selected_by_another_replica_with_the_same_seed(resolver, doubles, error):
    doubles.llm.speaker = failing_once(doubles.llm.speaker, error)
    assert (await resolver.resolve(DESIGN, Style())).speaker is not None
    assert [request.sampling.seed for request in doubles.llm.requests] == [0, 0]


async def test_design_that_kills_two_replicas_kills_no_third(resolver, doubles):
    def speaker(request):
        raise EngineDied("Dead.")

    doubles.llm.speaker = speaker
    with pytest.raises(GenerationFailed, match="Two replicas of the llm"):
        await resolver.resolve(DESIGN, Style())
    assert len(doubles.llm.requests) == 2


def failing_once(call, error):
    failures = iter((error,))

    def instead(request):
        for failure in failures:
            raise failure
        return call(request)

    return instead


@pytest.mark.parametrize(
    ("name", "design"),
    [("", DesignedVoice(Gender.FEMALE)), ("male", DesignedVoice(Gender.MALE)), ("onyx", ALIASES["onyx"])],
)
async def test_default_built_in_and_alias_are_designed(resolver, name, design):
    assert (await resolver.resolve(NamedVoice(name), Style())).design == design


STYLE = Style(gender=Gender.MALE, speed=Level.LOW)


@pytest.mark.parametrize(
    ("voice", "design"),
    [
        (DESIGN, DesignedVoice(Gender.MALE, Level.HIGH, Level.LOW)),
        (NamedVoice(""), DesignedVoice(Gender.MALE, Level.MODERATE, Level.LOW)),
        (NamedVoice("female"), DesignedVoice(Gender.FEMALE, Level.MODERATE, Level.LOW)),
        (NamedVoice("coral"), DesignedVoice(Gender.FEMALE, Level.HIGH, Level.LOW)),
    ],
    ids=["described", "default", "built in", "alias"],
)
async def test_style_changes_the_levels_of_a_designed_voice_but_no_gender_of_a_named_one(resolver, voice, design):
    assert (await resolver.resolve(voice, STYLE)).design == design


async def test_a_level_that_is_asked_for_leaves_a_voice_that_has_more_of_it(resolver):
    style = Style(pitch=Level.LOW, speed=Level.HIGH)
    assert (await resolver.resolve(NamedVoice("onyx"), style)).design == DesignedVoice(
        Gender.MALE, Level.VERY_LOW, Level.HIGH
    )


@pytest.mark.parametrize(
    ("voice", "heeded"),
    [
        (DESIGN, STYLE),
        (NamedVoice(""), STYLE),
        (NamedVoice("alloy"), Style(speed=Level.LOW)),
        (NamedVoice("ann"), Style()),
        (ReferenceVoice(b"audio"), Style()),
    ],
    ids=["described", "default", "alias", "cloned", "heard"],
)
async def test_what_is_heeded_can_be_told(resolver, voice, heeded):
    assert resolver.heeded(voice, STYLE) == heeded


async def test_stored_voice_calls_neither_tokenizer_nor_llm(resolver, stages, store, doubles):
    await VoiceCatalogue(stages, store, ValueLimits()).create("ann", "Ann", b"audio", "")
    await doubles.stop("tokenizer")
    resolved = await resolver.resolve(NamedVoice("ann"), Style(pitch=Level.LOW))
    assert resolved == HeardVoice(speaker_of(5, *b"aud"))
    assert doubles.llm.requests == []


async def test_transcript_goes_with_the_codes_of_the_recording(resolver):
    resolved = await resolver.resolve(ReferenceVoice(b"audio", "so it goes"), Style())
    assert resolved == HeardVoice(speaker_of(5, *b"aud"), (Turn("so it goes", Frames.of_codes(list(b"audio"))),))


async def test_transcript_is_left_out_for_a_model_that_cannot_use_it(resolver, doubles, stages):
    able = frozenset({Capability.CLONE, Capability.DESIGN})
    doubles.llm.model = replace(doubles.llm.model, llm=replace(doubles.llm.model.llm, capabilities=able))
    await doubles.stop("llm")
    await stages.until(lambda: bool(stages.reasons()))
    await doubles.start("llm")
    await stages.until(lambda: not stages.reasons() and stages.model().llm.capabilities == able)
    assert (await resolver.resolve(ReferenceVoice(b"audio", "so it goes"), Style())).context == ()


async def test_same_recording_is_tokenized_once(resolver, doubles):
    first = await resolver.resolve(ReferenceVoice(b"audio"), Style())
    assert await resolver.resolve(ReferenceVoice(b"audio"), Style()) == first
    await resolver.resolve(ReferenceVoice(b"other"), Style())
    assert doubles.tokenizer.calls == 2


async def test_recording_that_is_none_names_the_field(resolver):
    with pytest.raises(InvalidRequest) as raised:
        await resolver.resolve(ReferenceVoice(b"bad"), Style())
    assert raised.value.field == "audio"


async def test_unknown_voice_is_not_found(resolver):
    with pytest.raises(VoiceNotFound, match="'nobody'"):
        await resolver.resolve(NamedVoice("nobody"), Style())


def stored(codec_revision: str, recording: bytes) -> StoredVoice:
    tokens = TokenizedRecording(speaker_of(1), Frames.of_codes([1]), 1.0, recording)
    return StoredVoice("old", "Old", "before", codec_revision, tokens, "", "00", datetime.now(UTC))


async def test_voice_of_the_same_codec_speaks_under_any_name_of_the_model(resolver, store, doubles):
    await store.add(stored(REVISION.codec, b"audio"))
    assert (await resolver.resolve(NamedVoice("old"), Style())).speaker == speaker_of(1)
    assert doubles.tokenizer.calls == 0


async def test_voice_of_another_codec_is_made_again_from_its_recording_once(resolver, store, doubles):
    await store.add(stored("another codec", b"audio"))
    for _ in range(2):
        assert (await resolver.resolve(NamedVoice("old"), Style())).speaker == speaker_of(5, *b"aud")
    assert doubles.tokenizer.calls == 1
    assert (await store.find("old")).codec_revision == REVISION.codec


async def test_voice_of_another_codec_without_a_recording_is_refused_with_what_to_do(resolver, store):
    await store.add(stored("another codec", b""))
    with pytest.raises(InvalidRequest, match=r"another codec.*'before'.*create it again"):
        await resolver.resolve(NamedVoice("old"), Style())


async def test_voice_older_than_revisions_is_adopted_by_the_first_that_is_served(resolver, store):
    await store.add(stored("", b""))
    await store.adopt("before", REVISION)
    assert (await resolver.resolve(NamedVoice("old"), Style())).speaker == speaker_of(1)
    await store.adopt("before", Revision("a later codec", "a later llm"))
    assert (await store.find("old")).codec_revision == REVISION.codec
