import numpy as np

from services.gateway.audio.encoders import ENCODERS


def test_pcm_is_rounded_and_clipped_little_endian_int16():
    levels = np.array([0.0, 1.0, -1.0, 1.5, -7.0, 0.6 / 32767, -0.6 / 32767, 0.4 / 32767, 100.5 / 32767], np.float32)
    data = ENCODERS["pcm"](24000, 24000).encode(levels)
    assert data == np.array([0, 32767, -32767, 32767, -32767, 1, -1, 0, 100], "<i2").tobytes()


def test_pcm_streams_at_any_rate(speech):
    encoder = ENCODERS["pcm"](16000, 24000)
    data = b"".join([*(encoder.encode(chunk) for chunk in np.array_split(speech(16000, 0.5), 9)), encoder.flush()])
    assert len(data) == 2 * 12000
