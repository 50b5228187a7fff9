"""What a step takes in: whole prompts, of sequences that the cache holds to their end."""

from collections.abc import Callable

import pytest

from services.llm.engines.engine import EngineModel, EngineOptions
from services.llm.engines.openvino import open_pipeline
from services.llm.engines.openvino_conversion import openvino_ir
from services.llm.engines.openvino_stepper import PROMPT_TOKENS, OpenVinoStepper, Room
from services.llm.engines.stepper import Job
from services.llm.sampling import ResolvedSampling

Make = Callable[[Room], OpenVinoStepper]


@pytest.fixture(scope="module")
def stepper(tiny_model: EngineModel, tmp_path_factory: pytest.TempPathFactory) -> Make:
    cache = tmp_path_factory.mktemp("cache")
    directory = openvino_ir(tiny_model, "f32", cache)

    def make(room: Room) -> OpenVinoStepper:
        options = EngineOptions("f32", threads=1, max_batch=room.sequences, cache_directory=cache)
        return OpenVinoStepper(open_pipeline(directory, options, room), room)

    return make


def job(ticket: int, prompt: int, tokens: int) -> Job:
    return Job(ticket, tuple(range(prompt)), ResolvedSampling(max_tokens=tokens, seed=ticket), frozenset())


def steps(stepper: OpenVinoStepper, count: int) -> list[dict[int, int]]:
    """Ids that each step drew, by ticket."""
    return [{drawn.ticket: len(drawn.ids) for drawn in stepper.step()} for _ in range(count)]


def test_a_step_takes_whole_prompts_in_their_order(stepper: Make) -> None:
    one = stepper(Room.of(8, 1024))
    for ticket, prompt in enumerate((PROMPT_TOKENS - 20, 20, 1, PROMPT_TOKENS, 3 * PROMPT_TOKENS, 7)):
        one.submit(job(ticket, prompt, tokens=9))
    assert [list(drawn) for drawn in steps(one, 5)] == [
        [0, 1],
        [0, 1, 2],
        [0, 1, 2, 3],
        [0, 1, 2, 3, 4],
        [0, 1, 2, 3, 4, 5],
    ]


def test_no_more_sequences_than_there_is_room_for(stepper: Make) -> None:
    one = stepper(Room.of(2, 1024))
    for ticket in range(3):
        one.submit(job(ticket, 5, tokens=2))
    assert [list(drawn) for drawn in steps(one, 4)] == [[0, 1], [0, 1], [2], [2]]


def test_a_sequence_waits_until_the_cache_holds_it_to_its_end(stepper: Make) -> None:
    one = stepper(Room(sequences=3, blocks=4))
    for ticket in range(3):
        one.submit(job(ticket, 8, tokens=40))
    drawn = steps(one, 80)
    assert drawn == [{0: 1, 1: 1}] * 40 + [{2: 1}] * 40


def test_who_waits_can_be_cancelled(stepper: Make) -> None:
    one = stepper(Room.of(1, 64))
    for ticket in range(3):
        one.submit(job(ticket, 5, tokens=2))
    one.cancel(1)
    assert [(drawn.ticket, len(drawn.ids), drawn.done) for drawn in one.step()] == [(0, 1, False), (1, 0, True)]
    one.cancel(0)
    assert [(drawn.ticket, drawn.done) for drawn in one.step()] == [(0, True)]
    one.cancel(2)
    assert [(drawn.ticket, len(drawn.ids), drawn.done) for drawn in one.step()] == [(2, 0, True)]
