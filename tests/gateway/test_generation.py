"""One segment's frames, drawn by servers that speak the real protocol."""

import pytest

from services.contract.frames import Frames
from services.contract.generation import FinishReason, HeardVoice
from services.contract.sampling import SEEDS, Sampling
from services.gateway.generation import Generation, Segment, segment_seed
from services.gateway.metrics import GatewayMetrics
from services.gateway.reply import Usage
from services.gateway.utterance import Utterance
from services.runtime.errors import GenerationFailed, InvalidRequest

from .conftest import speaker_of

SEGMENT = Segment("Hi.", HeardVoice(speaker_of(1, 2, 3, 4)))
HI = Frames.of_codes([ord(character) for character in SEGMENT.text])


@pytest.fixture
def generation(stages, registry):
    return Generation(stages, GatewayMetrics(registry))


async def drawn(generation, stages, sampling: Sampling, out: Utterance | None = None) -> tuple[Utterance, Usage]:
    out, usage = out or Utterance(SEGMENT.voice.speaker), Usage.of(sampling)
    await generation.draw(SEGMENT, sampling, stages.model(), usage, out)
    return out, usage


def test_seeds_follow_from_seed_segment_and_attempt():
    seeds = [segment_seed(seed, place, attempt) for seed in (0, 5) for place in (0, 1) for attempt in (0, 1, 2)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < SEEDS for seed in seeds)
    assert seeds == [segment_seed(seed, place, attempt) for seed in (0, 5) for place in (0, 1) for attempt in (0, 1, 2)]
    assert segment_seed(SEEDS - 1, 1, 0) == 0


async def test_a_segment_is_drawn_with_the_seed_of_its_reply(generation, stages, doubles):
    out, usage = await drawn(generation, stages, Sampling(seed=41))
    assert out.all() == HI
    assert [request.sampling.seed for request in doubles.llm.spoken] == [41]
    assert (usage.seed, usage.retries, usage.truncated) == (41, 0, False)
    assert (usage.input_tokens, usage.output_tokens) == (10, 3)


@pytest.mark.parametrize("seed", [None, 5])
@pytest.mark.parametrize("empty", [1, 2])
async def test_an_empty_generation_is_drawn_again_by_a_seed_that_follows(
    generation, stages, doubles, registry, seed, empty
):
    answers = iter([[]] * empty + [[65, 66]])
    doubles.llm.draws = lambda request: next(answers)
    out, usage = await drawn(generation, stages, Sampling(seed=seed))
    assert out.all().codes == [65, 66]
    asked = [request.sampling.seed for request in doubles.llm.spoken]
    assert asked == [segment_seed(usage.seed, 0, attempt) for attempt in range(empty + 1)]
    assert usage.retries == empty
    assert registry.get_sample_value("voxline_gateway_empty_generations_total") == empty


async def test_a_segment_that_stays_empty_fails(generation, stages, doubles):
    doubles.llm.draws = lambda request: []
    with pytest.raises(GenerationFailed, match="drew no speech"):
        await drawn(generation, stages, Sampling())
    assert len(doubles.llm.spoken) == 3


@pytest.mark.parametrize("name", ["max_tokens", "repetition_penalty", "temperature", "top_p", "top_k"])
async def test_a_segment_that_stays_empty_by_the_callers_sampling_names_it(generation, stages, doubles, name):
    doubles.llm.draws = lambda request: []
    with pytest.raises(InvalidRequest, match=name) as raised:
        await drawn(generation, stages, Sampling(**{name: 1}))
    assert raised.value.field == f"sampling.{name}"


def cut_first(times: int):
    """So many generations are cut by their limit."""
    left = iter(range(times))

    def reason(request) -> FinishReason:
        return FinishReason.LENGTH if next(left, None) is not None else FinishReason.STOP

    return reason


async def test_a_generation_cut_by_its_usual_limit_is_drawn_once_more(generation, stages, doubles, registry):
    doubles.llm.reason = cut_first(1)
    _, usage = await drawn(generation, stages, Sampling())
    assert len(doubles.llm.spoken) == 2
    assert (usage.truncated, usage.retries) == (False, 1)
    doubles.llm.reason = cut_first(2)
    _, usage = await drawn(generation, stages, Sampling())
    assert len(doubles.llm.spoken) == 4
    assert (usage.truncated, usage.retries) == (True, 1)
    assert registry.get_sample_value("voxline_gateway_truncated_segments_total") == 1


@pytest.mark.parametrize("sampling", [Sampling(seed=3), Sampling(max_tokens=50)])
async def test_a_cut_that_the_caller_asked_for_is_told(generation, stages, doubles, sampling):
    doubles.llm.reason = cut_first(1)
    _, usage = await drawn(generation, stages, sampling)
    assert len(doubles.llm.spoken) == 1
    assert usage.truncated


async def test_a_cut_of_which_something_was_heard_is_told(generation, stages, doubles):
    doubles.llm.reason = cut_first(1)
    out = Utterance(SEGMENT.voice.speaker)
    out.heard = True
    _, usage = await drawn(generation, stages, Sampling(), out)
    assert len(doubles.llm.spoken) == 1
    assert usage.truncated
