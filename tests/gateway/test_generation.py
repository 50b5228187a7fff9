"""One segment's tokens, drawn by a server that speaks the real protocol."""

from contextlib import aclosing

import pytest
from prometheus_client import CollectorRegistry

from services.gateway.clients.events import Finish
from services.gateway.generation import Generation, Segment, seeds
from services.gateway.metrics import GatewayMetrics
from services.gateway.reply import Usage
from services.gateway.request import DesignedVoice, Gender, Sampling
from services.gateway.tokens import ClonedTokens, DesignedTokens, SpeakerTokens

DESIGN = DesignedVoice(Gender.FEMALE)
SPEAKER = SpeakerTokens((1, 2, 3, 4))


@pytest.fixture
def generation(stages):
    return Generation(stages, GatewayMetrics(CollectorRegistry()))


def test_without_a_seed_each_attempt_gets_its_own():
    assert len({*seeds(Sampling(), 0), *seeds(Sampling(), 0)}) == 4


@pytest.mark.parametrize("voice", [ClonedTokens(SPEAKER), DesignedTokens(DESIGN, SPEAKER)])
async def test_known_speaker_is_named_once_and_before_the_llm_is_asked(generation, doubles, voice):
    asked = len(doubles.llm.requests)
    async with aclosing(generation.events(Segment("Hi.", voice), Sampling(), 0, Usage())) as events:
        assert await anext(events) == SPEAKER
        assert len(doubles.llm.requests) == asked
        *codes, finish = [event async for event in events]
    assert isinstance(finish, Finish)
    assert sum(codes, ()) == tuple(map(ord, "Hi."))


async def test_speaker_that_the_llm_makes_up_is_named_once_though_it_draws_nothing_at_first(generation, doubles):
    answers = iter(([], [65]))
    doubles.llm.draws = lambda request: next(answers)
    made_up = doubles.llm.made_up
    async with aclosing(generation.events(Segment("Hi.", DesignedTokens(DESIGN)), Sampling(), 0, Usage())) as events:
        speaker, codes, _ = [event async for event in events]
    assert isinstance(speaker, SpeakerTokens)
    assert speaker.global_tokens == (made_up + 1,) * 4
    assert codes == (65,)
