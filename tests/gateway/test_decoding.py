"""One utterance's audio, from servers that speak the real protocol."""

import asyncio

import pytest

from services.contract.frames import Frames
from services.gateway.decoding import Decoding
from services.gateway.metrics import GatewayMetrics
from services.gateway.reply import Usage
from services.gateway.utterance import Utterance, Withdrawn

from .conftest import PATIENCE, speaker_of


@pytest.mark.parametrize("drawn_again", [0, 1, 5])
async def test_segment_withdrawn_while_its_detokenizer_is_looked_for_is_begun_again(
    stages, doubles, registry, drawn_again
):
    """As in a whole reply, of which nothing is heard before the end of the segment."""
    utterance, usage = Utterance(speaker_of(1)), Usage()
    utterance.extend(Frames.of_codes([ord(c) for c in "One"]))
    audio = Decoding(stages, GatewayMetrics(registry)).audio(utterance, stages.model(), usage)
    await anext(audio)
    await doubles.stop("detokenizer")
    searching = asyncio.create_task(anext(audio))
    async with asyncio.timeout(PATIENCE):
        while usage.retries < 2:
            await asyncio.sleep(0)
    utterance.withdraw()
    if drawn_again:
        utterance.extend(Frames.of_codes([1] * drawn_again))
    with pytest.raises(Withdrawn):
        await searching
