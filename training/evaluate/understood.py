"""Is what is said what was asked for? By phones and by length, the teacher beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.contract.design import DesignedVoice, Gender
from services.contract.generation import MadeUpVoice
from training.corpus.espeak import Espeak
from training.corpus.phones import INDEX, SILENCE
from training.corpus.render import render
from training.corpus.speakers import MODERATE, Cast, Voice
from training.corpus.utterance import SAMPLE_RATE
from training.evaluate.sound import Samples, sounding_seconds
from training.evaluate.voice import ExportedVoice
from training.phones.ear import PhoneEar, distance

_MAX = 32767.0
_LEAST_SHARE = 0.8
"""Of the teacher's duration: anything shorter ended too early."""
_LONG_CHARACTERS, _LONG_SENTENCES = (130, 155), 3


@dataclass(frozen=True)
class Lesson:
    """What the teacher says of one sentence."""

    text: str
    samples: Samples
    phones: tuple[int, ...]


@dataclass
class Errors:
    """Phones heard wrong, of so many."""

    wrong: int = 0
    said: int = 0

    def add(self, heard: Sequence[int], said: Sequence[int]) -> None:
        self.wrong += distance(heard, said)
        self.said += len(said)

    @property
    def rate(self) -> float:
        return self.wrong / max(self.said, 1)


def lessons(texts: Sequence[str], gender: str, espeak: Espeak) -> list[Lesson]:
    """By the teacher of the designed voice, at the usual pitch and speed."""
    speaker = next(speaker for speaker in Cast.draw(0, 0).teachers if speaker.gender == gender)
    taught: list[Lesson] = []
    for text in texts:
        rendered = render(espeak, text, Voice(speaker, MODERATE), MODERATE, 0)
        assert rendered is not None, text
        utterance, samples = rendered
        phones = tuple(int(phone) for phone in utterance.phones[:, 0] if phone != INDEX[SILENCE])
        taught.append(Lesson(text, (samples / _MAX).astype("float32"), phones))
    return taught


def long(texts: Sequence[str]) -> list[str]:
    """Three sentences in one, of about 8 seconds, which is more than a segment gets."""
    joined = [" ".join(texts[start : start + _LONG_SENTENCES]) for start in range(0, len(texts), _LONG_SENTENCES)]
    return [text for text in joined if _LONG_CHARACTERS[0] <= len(text) <= _LONG_CHARACTERS[1]]


def measure(voice: ExportedVoice, ear: PhoneEar, taught: Sequence[Lesson], gender: str) -> dict[str, float]:
    """Phone error rates, and how the durations compare."""
    said = voice.say([(lesson.text, MadeUpVoice(DesignedVoice(Gender(gender)))) for lesson in taught])
    teacher, codec, system = Errors(), Errors(), Errors()
    shares: list[float] = []
    for lesson, spoken in zip(taught, said, strict=True):
        teacher.add(ear.hear(lesson.samples), lesson.phones)
        codec.add(ear.hear(voice.reconstruct(lesson.samples)), lesson.phones)
        system.add(ear.hear(spoken.samples) if len(spoken.samples) else (), lesson.phones)
        shares.append(sounding_seconds(spoken.samples) / sounding_seconds(lesson.samples))
    return {
        "sentences": len(taught),
        "seconds": sum(len(lesson.samples) for lesson in taught) / SAMPLE_RATE / len(taught),
        "teacher_phone_error": teacher.rate,
        "codec_phone_error": codec.rate,
        "system_phone_error": system.rate,
        "never_ended": sum(not spoken.ended for spoken in said),
        "ended_early": sum(share < _LEAST_SHARE for share in shares),
        "duration_ratio": sum(shares) / len(shares),
    }
