"""What was drawn -> frames and what goes with them -> what was drawn."""

from collections.abc import Sequence

import pytest

from services.contract.design import DesignedVoice, Gender
from services.contract.families.spark import SparkSpeaker
from services.contract.frames import Frames
from services.contract.generation import HeardVoice, MadeUpVoice, Prefix, Progress, VoiceInput
from services.llm.families.family import Family
from services.runtime.errors import InvalidRequest
from voxline.stages.v1 import spark_pb2

# Ids of the tiny checkpoint.
GLOBAL, SEMANTIC, OTHER = 439, 695, 1252
START_GLOBAL, END_GLOBAL, START_SEMANTIC, END = 1291, 1297, 1292, 436
BLOCK = (START_GLOBAL, *(GLOBAL + code for code in range(8)), END_GLOBAL, START_SEMANTIC)
SPEECH = (SEMANTIC, OTHER, SEMANTIC + 511, SEMANTIC, OTHER, OTHER, END)
HEARD, FEMALE = HeardVoice(SparkSpeaker(tuple(range(8))).speaker()), MadeUpVoice(DesignedVoice(Gender.FEMALE))


def prefix(codes: Sequence[int] = (), *skipped: tuple[int, int]) -> Prefix:
    message = spark_pb2.SparkResume(places=[place for place, _ in skipped], tokens=[token for _, token in skipped])
    return Prefix(Frames.of_codes(codes), message.SerializeToString())


def codes(progress: Progress) -> list[int]:
    return progress.frames.codes if progress.frames else []


@pytest.mark.parametrize(
    ("voice", "ids"), [(HEARD, SPEECH), (HEARD, (START_SEMANTIC, *SPEECH)), (FEMALE, (*BLOCK, *SPEECH))]
)
def test_what_was_drawn_comes_back_from_what_was_told_at_every_cut(
    tiny_family: Family, voice: VoiceInput, ids: tuple[int, ...]
) -> None:
    prompt = tiny_family.prompt("Hi", voice)
    whole = tiny_family.reader(prompt).read(ids, last=True)
    for cut in range(len(ids) + 1):
        told = tiny_family.reader(prompt).read(ids[:cut], last=False) if cut else Progress()
        drawn = tiny_family.drawn(Prefix(told.frames or Frames.of_codes(()), told.resume or b""))
        assert drawn == ids[:cut]
        rest = tiny_family.reader(prompt, drawn).read(ids[cut:], last=True)
        assert codes(told) + codes(rest) == codes(whole)
        assert [told.speaker or rest.speaker, told.speaker and rest.speaker] == [whole.speaker, None]
        assert (rest.resume or told.resume) == whole.resume


def test_frames_go_on_behind_those_of_the_prefix(tiny_family: Family) -> None:
    drawn = tiny_family.drawn(prefix([5, 6], (0, START_SEMANTIC)))
    reader = tiny_family.reader(tiny_family.prompt("Hi", HEARD), drawn)
    assert reader.read([SEMANTIC + 7], last=False) == Progress(frames=Frames.of_codes([7], first=2))


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (Prefix(Frames.of_codes([1]), b"\xff"), "prefix.resume"),
        (Prefix(Frames.of_codes([1]), spark_pb2.SparkResume(places=[0]).SerializeToString()), "prefix.resume"),
        (prefix([1], (1, OTHER), (0, OTHER)), "prefix.resume"),
        (prefix([1], (0, OTHER), (0, OTHER)), "prefix.resume"),
        (prefix([1], (2, OTHER)), "prefix.resume"),
        (prefix([1], (0, SEMANTIC)), "prefix.resume"),
        (prefix([1], (0, 5)), "prefix.resume"),
        (prefix([1], (0, 10**9)), "prefix.resume"),
        (prefix([1], (0, END)), "prefix.resume"),
        (prefix([512]), "prefix.frames"),
        (Prefix(Frames.of_codes([1, 2], codebooks=2)), "prefix.frames"),
    ],
)
def test_what_no_generation_told_is_refused(tiny_family: Family, wrong: Prefix, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        tiny_family.drawn(wrong)
    assert caught.value.field == field


def test_frames_of_a_made_up_speaker_that_is_not_whole_are_refused(tiny_family: Family) -> None:
    with pytest.raises(InvalidRequest) as caught:
        tiny_family.reader(tiny_family.prompt("Hi", FEMALE), (START_GLOBAL, GLOBAL, SEMANTIC))
    assert caught.value.field == "prefix.resume"
