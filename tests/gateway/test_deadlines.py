"""A stage that says nothing: another replica is asked, then the request ends; who only queues is waited for."""

import asyncio

import pytest

from services.gateway.deadlines import Deadlines, Patience
from services.gateway.reply import Usage
from services.gateway.request import NamedVoice, Output, ReferenceVoice, SpeechRequest, Turn, VoiceSelection
from services.gateway.stages import Stages
from services.runtime.errors import DeadlineExceeded

from .conftest import PATIENCE, heard

TEXT = "A sentence of one replica."
DEFAULT = NamedVoice("")
SHORT = Deadlines(first_frame=0.2, between_frames=0.2, first_audio=0.2, chunk=0.2, recording=0.2)


@pytest.fixture
async def stages(doubles):
    stages = Stages(doubles.targets, None, deadlines=SHORT)
    stages.start()
    async with asyncio.timeout(PATIENCE):
        await stages.until(lambda: not stages.reasons())
    yield stages
    await stages.stop()


def request(voice: VoiceSelection = DEFAULT) -> SpeechRequest:
    return SpeechRequest((Turn(TEXT, voice),), output=Output())


def hanging(at: int, times: int):
    """Hangs at that place, and from then on at every place, so often in all."""
    hung = 0

    async def before(place: int) -> None:
        nonlocal hung
        if hung < times and (hung or place == at):
            hung += 1
            await asyncio.Event().wait()

    return before


PLACES = [("llm", 0), ("llm", 5), ("detokenizer", 0), ("detokenizer", 5), ("llm", len(TEXT))]


async def ready_voice(synthesis) -> None:
    await heard(synthesis.speak(request(), Usage()))


@pytest.mark.parametrize(("stage", "place"), PLACES)
async def test_replica_that_hangs_is_replaced_and_its_call_cancelled(synthesis, doubles, stage, place):
    await ready_voice(synthesis)
    getattr(doubles, stage).before = hanging(place, 1)
    usage = Usage(7)
    assert await heard(synthesis.speak(request(), usage)) == TEXT
    assert usage.retries == 1
    await doubles.llm.live.until(0)
    await doubles.detokenizer.live.until(0)


@pytest.mark.parametrize(("stage", "place"), PLACES)
async def test_second_replica_that_hangs_ends_the_request(synthesis, doubles, stage, place):
    await ready_voice(synthesis)
    getattr(doubles, stage).before = hanging(place, 9)
    with pytest.raises(DeadlineExceeded, match=f"Two replicas of the {stage} did not answer in time"):
        await heard(synthesis.speak(request(), Usage(7)))
    await doubles.llm.live.until(0)
    await doubles.detokenizer.live.until(0)


async def test_designed_voice_is_selected_by_another_replica(synthesis, doubles):
    generate = doubles.llm.generate

    async def hang_once(request):
        doubles.llm.generate = generate
        await asyncio.Event().wait()
        yield

    doubles.llm.generate = hang_once
    assert await heard(synthesis.speak(request(), Usage(7))) == TEXT


async def test_designed_voice_is_selected_by_two_replicas_at_most(synthesis, doubles):
    async def hang(request):
        await asyncio.Event().wait()
        yield

    doubles.llm.generate = hang
    with pytest.raises(DeadlineExceeded, match="Two replicas of the llm"):
        await heard(synthesis.speak(request(), Usage(7)))


@pytest.mark.parametrize(("times", "calls"), [(1, 2), (9, 2)])
async def test_tokenizer_that_hangs_is_asked_once_more(synthesis, doubles, times, calls):
    doubles.tokenizer.before = hanging(0, times)
    spoken = synthesis.speak(request(ReferenceVoice(b"audio", "")), Usage(7))
    if times == 1:
        assert await heard(spoken) == TEXT
    else:
        with pytest.raises(DeadlineExceeded, match="tokenizer"):
            await heard(spoken)
    assert doubles.tokenizer.calls == calls


async def hung() -> None:
    await asyncio.Event().wait()


async def test_error_of_a_step_is_itself() -> None:
    async def failing() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await Patience("llm").wait(failing(), 9.0)


async def test_stage_that_owes_nothing_is_waited_for() -> None:
    owed, asked = asyncio.Event(), asyncio.Event()
    looks = iter(range(30))

    def owes() -> bool:
        if next(looks, None) is None:
            asked.set()
        return owed.is_set()

    waiting = asyncio.create_task(Patience("llm").wait(hung(), 0.05, owes))
    await asked.wait()
    assert not waiting.done()
    owed.set()
    with pytest.raises(DeadlineExceeded):
        await waiting


async def progressing(patience: Patience, until: "asyncio.Task[None]") -> None:
    """Other calls get answers all the time."""
    while not until.done():
        await patience.wait(asyncio.sleep(0.001), 9.0)


@pytest.mark.parametrize("queued", [True, False])
async def test_who_queues_is_waited_for_longer_and_not_for_ever(queued: bool) -> None:
    looks = 0

    def owed() -> bool:
        nonlocal looks
        looks += 1
        return True

    patience = Patience("llm")
    waiting = asyncio.create_task(patience.wait(hung(), 0.3, owed, queued))
    async with asyncio.timeout(PATIENCE):
        await progressing(patience, waiting)
    with pytest.raises(DeadlineExceeded):
        await waiting
    assert (looks >= 20) == queued


async def test_silence_of_the_stage_ends_who_queues_too() -> None:
    with pytest.raises(DeadlineExceeded) as raised:
        await Patience("llm").wait(hung(), 0.05)
    assert raised.value.broken
