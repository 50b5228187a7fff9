"""One line of the corpus: who said what, when."""

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000


@dataclass(frozen=True)
class Utterance:
    """Times in samples at SAMPLE_RATE from the start of the utterance; `offset` of the utterance within its shard.

    pitch, speed: levels, 0 to 4. group: the same for the same text at the same speed. words [n, 3]: first character,
    characters, start. phones [n, 2]: index in PHONES, start; the last phone is the silence at the end.
    """

    shard: int
    offset: int
    samples: int
    text: str
    voice: str
    gender: str
    pitch: int
    speed: int
    group: int
    words: NDArray[np.int32]
    phones: NDArray[np.int32]

    @property
    def seconds(self) -> float:
        return self.samples / SAMPLE_RATE

    @property
    def words_per_second(self) -> float:
        """Of speech, without the silence around it."""
        return len(self.text.split()) * SAMPLE_RATE / int(self.phones[-1, 1] - self.phones[0, 1])

    def to_json(self) -> str:
        fields = {name: value for name, value in vars(self).items() if name not in ("shard", "words", "phones")}
        return json.dumps({**fields, "words": self.words.tolist(), "phones": self.phones.tolist()})

    @classmethod
    def from_json(cls, line: str, shard: int) -> "Utterance":
        fields = json.loads(line)
        words, phones = (np.array(fields.pop(name), np.int32) for name in ("words", "phones"))
        return cls(shard=shard, words=words.reshape(-1, 3), phones=phones.reshape(-1, 2), **fields)
