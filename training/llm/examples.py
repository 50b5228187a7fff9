"""What the language model learns from: the three prompts of Spark-TTS, each with what should follow it."""

import re
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.corpus.corpus import Corpus
from training.corpus.speakers import MODERATE, Cast
from training.corpus.utterance import Utterance
from training.llm.spoken import Spoken
from training.llm.vocabulary import PITCH_VALUES, SPEED_VALUES, Vocabulary
from training.tokens.store import Tokens

_GENDERS = {"female": 0, "male": 1}
_DESIGNED, _CLONED = 0.4, 0.7
"""Shares: of designed voices, and of these and cloned ones without transcript."""
_LONGER, _MOST_BEHIND = 0.4, 2
"""How often utterances are joined where they need not be, and how many come behind the first."""
_SHORT, _SHORT_SHARE = re.compile(r"\d|[A-Za-z]\. \w"), 0.1
"""What is written shorter than it is said ("Mr. Brown", "at 8") is rare in texts: how often it comes here at least."""
LONGEST = 900
"""Frames of an example."""


@dataclass(frozen=True)
class Example:
    """ids [S]. learnt [S]: whether the model should foresee it. phones, following, characters [S]: of the frame that
    the id stands for, -1 for other ids; text: where the text begins in ids.
    """

    ids: NDArray[np.int64]
    learnt: NDArray[np.bool_]
    phones: NDArray[np.int64]
    following: NDArray[np.int64]
    characters: NDArray[np.float32]
    text: int


@dataclass
class Draft:
    """An example being put together."""

    vocabulary: Vocabulary
    ids: list[NDArray[np.int64]] = field(default_factory=list)
    learnt: list[NDArray[np.bool_]] = field(default_factory=list)
    length: int = 0
    frames: tuple[int, Spoken] | None = None

    def put(self, *names: str, learnt: bool = False) -> None:
        self.put_ids(np.array([self.vocabulary.id(name) for name in names], np.int64), learnt=learnt)

    def put_ids(self, ids: NDArray[np.int64], *, learnt: bool) -> None:
        self.ids.append(ids)
        self.learnt.append(np.full(len(ids), learnt))
        self.length += len(ids)

    def put_content(self, task: str, text: NDArray[np.int64]) -> None:
        self.put(task, "start_content")
        self.put_ids(text, learnt=False)
        self.put("end_content")

    def put_globals(self, globals_: NDArray[np.uint16], *, learnt: bool) -> None:
        self.put("start_global_token", learnt=learnt)
        self.put_ids(self.vocabulary.id("bicodec_global_0") + globals_.astype(np.int64), learnt=learnt)
        self.put("end_global_token", learnt=learnt)

    def put_codes(self, spoken: Spoken, planes: NDArray[np.int64]) -> None:
        """And the end. The start is learnt too: only where a transcript is given it is in the prompt."""
        self.put("start_semantic_token", learnt=True)
        self.frames = (self.length, spoken)
        codes = spoken.contents + self.vocabulary.contents * planes
        self.put_ids(self.vocabulary.id("bicodec_semantic_0") + codes, learnt=True)
        self.put("end_semantic_token", learnt=True)
        self.put_ids(np.array([self.vocabulary.end]), learnt=True)

    def example(self) -> Example:
        assert self.frames is not None
        start, spoken = self.frames
        phones, following = (np.full(self.length, -1, np.int64) for _ in range(2))
        characters = np.full(self.length, -1, np.float32)
        frames = slice(start, start + len(spoken.contents))
        phones[frames], following[frames], characters[frames] = spoken.phones, spoken.following, spoken.characters
        ids, learnt = np.concatenate(self.ids), np.concatenate(self.learnt)
        return Example(ids, learnt, phones, following, characters, text=2)


class Examples:
    """An endless supply, drawn from one part of the corpus."""

    def __init__(self, corpus: Corpus, tokens: Tokens, vocabulary: Vocabulary, cast: Cast) -> None:
        self._utterances = corpus.utterances
        self._globals = tokens.globals_
        self._vocabulary, self._cast = vocabulary, cast
        self._spoken = [
            Spoken.of(utterance, contents.astype(np.int64), pitch)
            for utterance, contents, pitch in zip(corpus.utterances, tokens.contents, corpus.pitches, strict=True)
        ]
        self._short = [index for index, each in enumerate(corpus.utterances) if _SHORT.search(each.text)]
        self._by_voice = corpus.by_voice
        self._by_manner: dict[tuple[str, int], list[int]] = {}
        for index, utterance in enumerate(corpus.utterances):
            self._by_manner.setdefault((utterance.voice, utterance.speed), []).append(index)
        self._moderate = [index for index, each in enumerate(corpus.utterances) if each.speed == MODERATE]
        self._teachers = {speaker.gender: speaker for speaker in cast.teachers}

    def draw(self, draws: Generator) -> Example:
        kind = draws.random()
        if kind < _DESIGNED:
            return self._designed(draws)
        return self._cloned(draws) if kind < _CLONED else self._continued(draws)

    def _designed(self, draws: Generator) -> Example:
        """Any speaker of the gender may have said it: contents hold none. Global tokens and pitch are the teacher's."""
        index = self._any(draws)
        utterance = self._utterances[index]
        speaker = self._teachers[utterance.gender]
        clips = self._by_voice.get(f"{speaker.name}{utterance.pitch}", [index])
        spoken = self._longer(index, draws)
        draft = Draft(self._vocabulary)
        draft.put_content("task_controllable_tts", spoken.text)
        style = (f"gender_{_GENDERS[utterance.gender]}", f"pitch_label_{utterance.pitch}")
        draft.put("start_style_label", *style, f"speed_label_{utterance.speed}", "end_style_label")
        draft.put("start_acoustic_token", *_values(utterance, speaker.f0[utterance.pitch]), learnt=True)
        draft.put("end_acoustic_token", learnt=True)
        draft.put_globals(self._globals[_one_of(clips, draws)], learnt=True)
        higher = speaker.f0[utterance.pitch] / self._cast.voices[utterance.voice].speaker.f0[utterance.pitch]
        draft.put_codes(spoken, spoken.planes(higher, draws))
        return draft.example()

    def _cloned(self, draws: Generator) -> Example:
        """At the usual speed: nothing in the prompt names another."""
        index = _one_of(self._moderate, draws) if self._moderate else int(draws.integers(len(self._spoken)))
        return self._with_speaker(self._longer(index, draws), index, draws)

    def _continued(self, draws: Generator) -> Example:
        """The reference and what goes on from it are one text and one row of codes: all of it is learnt."""
        index = self._any(draws)
        return self._with_speaker(self._joined(index, draws), index, draws)

    def _any(self, draws: Generator) -> int:
        if self._short and draws.random() < _SHORT_SHARE:
            return _one_of(self._short, draws)
        return int(draws.integers(len(self._spoken)))

    def _with_speaker(self, spoken: Spoken, index: int, draws: Generator) -> Example:
        clips = self._by_voice[self._utterances[index].voice]
        draft = Draft(self._vocabulary)
        draft.put_content("task_tts", spoken.text)
        draft.put_globals(self._globals[_one_of(clips, draws)], learnt=False)
        draft.put_codes(spoken, spoken.planes(1.0, draws))
        return draft.example()

    def _longer(self, index: int, draws: Generator) -> Spoken:
        return self._joined(index, draws) if draws.random() < _LONGER else self._spoken[index]

    def _joined(self, index: int, draws: Generator) -> Spoken:
        """With others of the same voice at the same speed behind it, as far as that is not too long."""
        utterance, spoken = self._utterances[index], self._spoken[index]
        for _ in range(int(draws.integers(_MOST_BEHIND)) + 1):
            other = self._spoken[_one_of(self._by_manner[utterance.voice, utterance.speed], draws)]
            if len(spoken.contents) + len(other.contents) > LONGEST:
                break
            spoken = (spoken.spaced() if draws.random() < 0.6 else spoken) + other
        return spoken


def _values(utterance: Utterance, f0: float) -> tuple[str, str]:
    pitch = min(round(f0 / 10), PITCH_VALUES - 1)
    speed = min(round(2 * utterance.words_per_second), SPEED_VALUES - 1)
    return f"pitch_value_{pitch}", f"speed_value_{speed}"


def _one_of(choices: list[int], draws: Generator) -> int:
    return choices[int(draws.integers(len(choices)))]
