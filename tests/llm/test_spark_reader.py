from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contract.families.spark import SparkSpeaker
from services.contract.frames import Frames, joined
from services.contract.generation import Progress
from services.contract.speaker import Speaker
from services.llm.families.spark.reader import Alphabet, SparkReader
from services.runtime.errors import GenerationFailed
from voxline.stages.v1 import spark_pb2

# Ids: 0-9 style and other tokens, 10-13 global codes 0-3, 20-29 semantic codes 0-9, 3 ends the globals, 9 the text.
START, END_OF_GLOBALS, PHONE, END = 2, 3, 5, 9
ALPHABET = Alphabet(
    semantic={20 + code: code for code in range(10)},
    globals_={10 + code: code for code in range(4)},
    end_of_globals=END_OF_GLOBALS,
    global_token_count=3,
)
GIVEN = SparkSpeaker((1, 1, 2)).speaker()
BLOCK = [1, START, 10, 13, 11, END_OF_GLOBALS]
WRITTEN = SparkSpeaker((0, 3, 1), (1, START)).speaker()


def read(chunks: Sequence[Sequence[int]], speaker: Speaker | None) -> list[Progress]:
    reader = SparkReader(ALPHABET, speaker)
    return [reader.read(chunk, last=place == len(chunks) - 1) for place, chunk in enumerate(chunks)]


def codes(told: Sequence[Progress]) -> list[int]:
    parts = [progress.frames for progress in told if progress.frames is not None]
    return joined(parts).codes if parts else []


def skipped(*places: tuple[int, int]) -> bytes:
    """What is told of tokens without a frame: place, id."""
    message = spark_pb2.SparkResume(places=[place for place, _ in places], tokens=[token for _, token in places])
    return message.SerializeToString(deterministic=True)


def frames(first: int, *codes: int) -> Frames:
    return Frames.of_codes(codes, first=first)


def test_given_speaker_is_named_first_then_frames() -> None:
    assert read([[20, 21], [29]], GIVEN) == [Progress(GIVEN, frames(0, 0, 1)), Progress(frames=frames(2, 9))]


def test_designed_speaker_is_named_from_its_block() -> None:
    resume = skipped(*enumerate([*BLOCK, 4]))
    assert read([[*BLOCK, 4, 20]], None) == [Progress(WRITTEN, frames(0, 0), resume=resume)]


def test_tokens_without_a_frame_are_skipped_and_told_with_their_places() -> None:
    first, second, last = read([[PHONE, 20], [21], [PHONE, 12, 22, END]], GIVEN)
    assert first == Progress(GIVEN, frames(0, 0), resume=skipped((0, PHONE)))
    assert second == Progress(frames=frames(1, 1))
    assert last == Progress(frames=frames(2, 2), resume=skipped((0, PHONE), (3, PHONE), (4, 12), (6, END)))


def test_block_may_end_with_the_first_semantic_token() -> None:
    (told,) = read([[1, START, 10, 13, 11, 27]], None)
    assert told == Progress(WRITTEN, frames(0, 7), resume=skipped(*enumerate(BLOCK[:-1])))


def test_block_may_end_with_the_generation() -> None:
    (told,) = read([[1, START, 10, 13, 11, END]], None)
    assert told.speaker == WRITTEN


@given(
    ids=st.lists(st.sampled_from([PHONE, 4, *range(20, 30)]), min_size=1),
    cuts=st.sets(st.integers(1, 40)),
    designed=st.booleans(),
)
def test_any_chunking_tells_the_same(ids: list[int], cuts: set[int], designed: bool) -> None:
    whole = [*BLOCK, *ids] if designed else ids
    places = [0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
    chunks = [whole[start:stop] for start, stop in pairwise(places)]
    speaker = None if designed else GIVEN
    told, (at_once,) = read(chunks, speaker), read([whole], speaker)
    assert codes(told) == codes([at_once]) == [i - 20 for i in ids if i >= 20]
    assert [progress.speaker for progress in told if progress.speaker] == [WRITTEN if designed else GIVEN]
    assert next((each.resume for each in reversed(told) if each.resume), None) == at_once.resume


@pytest.mark.parametrize(
    ("ids", "found"),
    [
        ([START, 10, END_OF_GLOBALS], 1),
        ([START, 10, 11, 20], 2),
        ([START, 10, 11, 12, 13], 4),
        ([START, 10], 1),
        ([20], 0),
        ([END], 0),
    ],
)
def test_wrong_number_of_global_tokens_fails_with_both_numbers(ids: list[int], found: int) -> None:
    with pytest.raises(GenerationFailed, match=f"{found} global tokens.* not 3"):
        read([ids], None)


def test_generation_without_a_frame_says_so_by_having_none() -> None:
    assert read([[PHONE, END]], GIVEN) == [Progress(GIVEN, resume=skipped((0, PHONE), (1, END)))]
