from prometheus_client import CollectorRegistry

from services.codec.memory import Remembered
from services.codec.metrics import TokenizerMetrics
from voxline.v1 import tokenizer_pb2


def answer(seconds: float) -> tokenizer_pb2.TokenizeResponse:
    return tokenizer_pb2.TokenizeResponse(duration_seconds=seconds)


def test_same_bytes_are_known_and_the_one_asked_for_longest_ago_goes_first() -> None:
    registry = CollectorRegistry()
    remembered = Remembered(2, TokenizerMetrics(registry))
    remembered.keep(b"one", answer(1.0))
    remembered.keep(b"two", answer(2.0))
    assert remembered.find(b"one") == answer(1.0)
    remembered.keep(b"three", answer(3.0))
    assert remembered.find(b"two") is None
    assert [remembered.find(audio) for audio in (b"one", b"three")] == [answer(1.0), answer(3.0)]
    assert registry.get_sample_value("voxline_tokenizer_remembered_clips_total") == 3


def test_nothing_is_kept_where_nothing_may_be() -> None:
    remembered = Remembered(0, TokenizerMetrics(CollectorRegistry()))
    remembered.keep(b"one", answer(1.0))
    assert remembered.find(b"one") is None
