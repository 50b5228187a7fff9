"""The replay buffer of a segment."""

import asyncio

import pytest

from services.contract.frames import Frames
from services.gateway.utterance import Utterance, Withdrawn
from services.runtime.errors import InvalidRequest
from services.runtime.streams import collected

from .conftest import speaker_of


def filled(*parts: list[int]) -> Utterance:
    utterance, first = Utterance(), 0
    for part in parts:
        utterance.extend(Frames.of_codes(part, first=first))
        first += len(part)
    return utterance


@pytest.mark.parametrize("first", range(7))
async def test_frames_are_read_from_any_place(first):
    utterance = filled([1, 2], [3], [4, 5, 6])
    utterance.finish()
    parts = await collected(utterance.frames(first))
    assert [code for part in parts for code in part.codes] == [1, 2, 3, 4, 5, 6][first:]
    assert [part.first for part in parts[:1]] == ([first] if first < 6 else [])


@pytest.mark.parametrize("first", range(5))
@pytest.mark.parametrize("count", [1, 2, 6])
async def test_frames_between_two_places(first, count):
    end = min(first + count, 6)
    part = filled([1, 2], [3], [4, 5, 6]).between(first, end)
    assert (part.first, part.codes) == (first, [1, 2, 3, 4, 5, 6][first:end])


async def test_reader_gets_what_comes_later_and_then_the_error():
    utterance = filled([1])
    reading = utterance.frames(0)
    assert (await anext(reading)).codes == [1]
    later = asyncio.create_task(anext(reading))
    await asyncio.sleep(0)
    utterance.extend(Frames.of_codes([2], first=1))
    assert (await later).codes == [2]
    utterance.fail(InvalidRequest("Not this."))
    with pytest.raises(InvalidRequest, match="Not this"):
        await anext(reading)


async def test_reader_of_what_is_withdrawn_is_told():
    utterance = filled([1])
    reading = utterance.frames(0)
    await anext(reading)
    waiting = asyncio.create_task(anext(reading))
    await asyncio.sleep(0)
    utterance.withdraw()
    utterance.extend(Frames.of_codes([7]))
    with pytest.raises(Withdrawn):
        await waiting
    assert utterance.all().codes == [7]


async def test_speaker_that_is_known_stays_and_one_that_was_made_up_goes_with_what_is_withdrawn():
    known, made_up = speaker_of(1), speaker_of(2)
    utterance = Utterance(known)
    utterance.name(made_up)
    assert utterance.speaker == known
    utterance = Utterance()
    utterance.name(made_up)
    assert utterance.speaker == made_up
    utterance.withdraw()
    assert utterance.speaker is None


async def test_begun_by_a_speaker_or_by_a_frame_or_over():
    for begin in (
        lambda each: each.name(speaker_of(1)),
        lambda each: each.extend(Frames.of_codes([1])),
        Utterance.finish,
    ):
        utterance = Utterance()
        waiting = asyncio.create_task(utterance.begun())
        await asyncio.sleep(0)
        assert not waiting.done()
        begin(utterance)
        await waiting
