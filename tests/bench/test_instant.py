from collections.abc import AsyncGenerator
from itertools import islice

import pytest

from bench.instant.__main__ import described
from bench.instant.pace import Pace
from bench.instant.servicers import InstantDetokenizer, InstantLlm
from services.cli.model import BUNDLED
from services.contract.design import DesignedVoice, Gender
from services.contract.detokenization import DetokenizationConfig
from services.contract.frames import Frames
from services.contract.generation import GenerationRequest, MadeUpVoice

PACE = Pace(rate=1e6)


def test_first_sound_needs_no_wait_and_the_rest_comes_at_its_rate() -> None:
    pace = Pace(rate=50)
    assert pace.due(pace.at_once - 1) == 0.0
    assert pace.due(pace.at_once + 49) == pytest.approx(1.0)


def test_chunks_grow_up_to_the_most() -> None:
    assert list(islice(PACE.chunks(), 5)) == [10, 15, 22, 25, 25]


async def test_stages_without_computing_speak_as_many_frames_as_the_text_has() -> None:
    frames = described(BUNDLED).frames
    request = GenerationRequest(text="x" * 40, voice=MadeUpVoice(DesignedVoice(Gender.FEMALE)))
    drawn = [each async for each in InstantLlm(32, PACE).generate(request)]
    assert [each.speaker is not None for each in drawn] == [True] + [False] * 119
    assert [each.finish is not None for each in drawn] == [False] * 119 + [True]

    async def came() -> AsyncGenerator[Frames, None]:
        for each in drawn:
            assert each.frames is not None
            yield each.frames

    hum = InstantDetokenizer(16_000, frames.frame_rate, PACE)
    heard = [each async for each in hum.decode(DetokenizationConfig(speaker=None), came())]
    assert [each.frame_count for each in heard] == [10, 15, 22, 25, 25, 23]
    assert [each.first_frame for each in heard] == [0, 10, 25, 47, 72, 97]
    assert [len(each.audio.samples) // 320 for each in heard] == [10, 15, 22, 25, 25, 23]
