import psutil
import pytest

from services.gateway.audio.encoders import ENCODERS
from services.gateway.audio.tempo import Tempo


@pytest.mark.parametrize("name", ENCODERS)
def test_a_reply_starts_no_threads(name: str, speech) -> None:
    process, sound = psutil.Process(), speech(16000, 0.5)
    before = process.num_threads()
    encoder, tempo = ENCODERS[name](16000, 24000), Tempo(16000, 1.5)
    encoder.encode(tempo.stretch(sound))
    assert process.num_threads() <= before
