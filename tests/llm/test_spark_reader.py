from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm.events import CodesDrawn, SpeakerNamed
from services.llm.families.spark.reader import Alphabet, SparkReader
from services.llm.voices import Speaker
from services.runtime.errors import GenerationFailed

# Ids: 0-9 style and other tokens, 10-13 global codes 0-3, 20-29 semantic codes 0-9, 3 ends the globals, 9 the text.
START, END_OF_GLOBALS, PHONE, END = 2, 3, 5, 9
ALPHABET = Alphabet(
    semantic={20 + code: code for code in range(10)},
    globals_={10 + code: code for code in range(4)},
    end_of_globals=END_OF_GLOBALS,
    global_token_count=3,
)
GIVEN = Speaker((1, 1, 2))
BLOCK = [1, START, 10, 13, 11, END_OF_GLOBALS]
WRITTEN = Speaker((0, 3, 1), (1, START))


def read(chunks: Sequence[Sequence[int]], speaker: Speaker | None) -> list[SpeakerNamed | CodesDrawn]:
    reader = SparkReader(ALPHABET, speaker)
    events = [event for chunk in chunks for event in reader.read(chunk)]
    reader.end()
    return events


def codes(events: Sequence[SpeakerNamed | CodesDrawn]) -> list[int]:
    return [code for event in events if isinstance(event, CodesDrawn) for code in event.codes]


def test_given_speaker_is_named_first_then_codes() -> None:
    assert read([[20, 21], [29]], GIVEN) == [SpeakerNamed(GIVEN), CodesDrawn((0, 1)), CodesDrawn((9,))]


def test_designed_speaker_is_named_from_its_block() -> None:
    assert read([[*BLOCK, 4, 20]], None) == [SpeakerNamed(WRITTEN), CodesDrawn((0,))]


def test_tokens_without_a_code_are_skipped() -> None:
    assert codes(read([[PHONE, 20, PHONE, 12, 21, END]], GIVEN)) == [0, 1]


def test_chunk_without_a_code_is_no_event() -> None:
    assert read([[PHONE], [PHONE, 20]], GIVEN) == [SpeakerNamed(GIVEN), CodesDrawn((0,))]


def test_block_may_end_with_the_first_semantic_token() -> None:
    assert read([[1, START, 10, 13, 11, 27]], None) == [SpeakerNamed(WRITTEN), CodesDrawn((7,))]


@given(
    ids=st.lists(st.sampled_from([PHONE, 4, *range(20, 30)]), min_size=1).filter(lambda ids: max(ids) >= 20),
    cuts=st.sets(st.integers(1, 40)),
    designed=st.booleans(),
)
def test_any_chunking_tells_the_same(ids: list[int], cuts: set[int], designed: bool) -> None:
    whole = [*BLOCK, *ids] if designed else ids
    places = [0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
    chunks = [whole[start:stop] for start, stop in pairwise(places)]
    speaker = None if designed else GIVEN
    assert codes(read(chunks, speaker)) == codes(read([whole], speaker)) == [i - 20 for i in ids if i >= 20]
    assert read(chunks, speaker)[0] == SpeakerNamed(WRITTEN if designed else GIVEN)


@pytest.mark.parametrize(
    ("ids", "found"),
    [
        ([START, 10, END_OF_GLOBALS], 1),
        ([START, 10, 11, 20], 2),
        ([START, 10, 11, 12, 13], 4),
        ([20], 0),
        ([END], 0),
    ],
)
def test_wrong_number_of_global_tokens_fails_with_both_numbers(ids: list[int], found: int) -> None:
    with pytest.raises(GenerationFailed, match=f"{found} global tokens.* not 3"):
        read([ids], None)


def test_end_within_the_block_fails() -> None:
    reader = SparkReader(ALPHABET, None)
    reader.read([START, 10])
    with pytest.raises(GenerationFailed, match="1 global tokens"):
        reader.end()


def test_generation_without_a_code_fails() -> None:
    with pytest.raises(GenerationFailed, match="semantic"):
        read([[PHONE, END]], GIVEN)
