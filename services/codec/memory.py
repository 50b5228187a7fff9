"""Tokens of recordings that came before: the same bytes give the same tokens, with one checkpoint and one's limits."""

from collections import OrderedDict
from hashlib import sha256

from services.codec.metrics import TokenizerMetrics
from voxline.v1 import tokenizer_pb2


class Remembered:
    """The `most` recordings that were asked for last, by the digest of their bytes; a few kB each."""

    def __init__(self, most: int, metrics: TokenizerMetrics) -> None:
        self._most = most
        self._metrics = metrics
        self._answers: OrderedDict[bytes, tokenizer_pb2.TokenizeResponse] = OrderedDict()

    def find(self, audio: bytes) -> tokenizer_pb2.TokenizeResponse | None:
        digest = sha256(audio).digest()
        if digest not in self._answers:
            return None
        self._answers.move_to_end(digest)
        self._metrics.remembered.inc()
        return self._answers[digest]

    def keep(self, audio: bytes, answer: tokenizer_pb2.TokenizeResponse) -> None:
        self._answers[sha256(audio).digest()] = answer
        while len(self._answers) > self._most:
            self._answers.popitem(last=False)
