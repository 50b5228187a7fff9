from collections.abc import AsyncGenerator
from itertools import islice

import pytest

from bench.instant.__main__ import described
from bench.instant.pace import Pace
from bench.instant.servicers import InstantDetokenizer, InstantLlm
from services.cli.model import BUNDLED
from voxline.v1 import detokenizer_pb2, llm_pb2, tokens_pb2

PACE = Pace(rate=1e6)


def test_first_sound_needs_no_wait_and_the_rest_comes_at_its_rate() -> None:
    pace = Pace(rate=50)
    assert pace.due(pace.at_once - 1) == 0.0
    assert pace.due(pace.at_once + 49) == pytest.approx(1.0)


def test_chunks_grow_up_to_the_most() -> None:
    assert list(islice(PACE.chunks(), 5)) == [10, 15, 22, 25, 25]


async def test_stages_without_computing_speak_as_many_frames_as_the_text_has() -> None:
    model = described(BUNDLED)
    drawn = [each async for each in InstantLlm(model, PACE).Generate(llm_pb2.GenerateRequest(text="x" * 40), None)]
    codes = [code for each in drawn for code in each.codes.values]
    assert [each.HasField("speaker") for each in drawn] == [True] + [False] * 119
    assert [each.HasField("finish") for each in drawn] == [False] * 119 + [True]
    assert len(codes) == 120

    async def requests() -> AsyncGenerator[detokenizer_pb2.DetokenizeRequest, None]:
        yield detokenizer_pb2.DetokenizeRequest(config=detokenizer_pb2.DetokenizeConfig())
        for code in codes:
            yield detokenizer_pb2.DetokenizeRequest(codes=tokens_pb2.Codes(values=[code]))

    heard = [each async for each in InstantDetokenizer(model, PACE).Detokenize(requests(), None)]
    lengths = [len(each.audio.samples) // 4 // 320 for each in heard]
    assert lengths == [10, 15, 22, 25, 25, 23]
