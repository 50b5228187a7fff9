"""Generated ids of Spark-TTS -> speaker, then codes.

A designed voice that is not pinned starts with its acoustic block: style tokens, the global tokens, and
`<|end_global_token|>`. Then, for every voice, come semantic tokens; whatever else is drawn between them carries no code
and is skipped, as the reference skips it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.llm.events import CodesDrawn, SpeakerNamed
from services.llm.voices import Speaker
from services.runtime.errors import GenerationFailed


@dataclass(frozen=True)
class Alphabet:
    """What ids mean. Both mappings: id -> code."""

    semantic: Mapping[int, int]
    globals_: Mapping[int, int]
    end_of_globals: int
    global_token_count: int


class SparkReader:
    """State of one generation. `speaker`: the one in the prompt, or None where the model writes it."""

    def __init__(self, alphabet: Alphabet, speaker: Speaker | None) -> None:
        self._alphabet = alphabet
        self._speaker = speaker
        self._named = False
        self._style: list[int] = []
        self._globals: list[int] = []
        self._any_code = False

    def read(self, ids: Sequence[int]) -> list[SpeakerNamed | CodesDrawn]:
        codes: list[int] = []
        for token in ids:
            if self._speaker is None:
                self._read_block(token)
            if (code := self._alphabet.semantic.get(token)) is not None:
                codes.append(code)
        return [*self._name_speaker(), *self._draw(codes)]

    def end(self) -> None:
        if self._speaker is None:
            self._close_block()
        if not self._any_code:
            raise GenerationFailed("The model ended without a semantic token: there is nothing to hear.")

    def _read_block(self, token: int) -> None:
        if (code := self._alphabet.globals_.get(token)) is not None:
            self._globals.append(code)
            if len(self._globals) > self._alphabet.global_token_count:
                self._close_block()
        elif token == self._alphabet.end_of_globals or token in self._alphabet.semantic:
            self._close_block()
        elif not self._globals:
            self._style.append(token)

    def _close_block(self) -> None:
        expected = self._alphabet.global_token_count
        if len(self._globals) != expected:
            raise GenerationFailed(
                f"The model wrote {len(self._globals)} global tokens for a designed voice, not {expected}."
            )
        self._speaker = Speaker(tuple(self._globals), tuple(self._style))

    def _name_speaker(self) -> list[SpeakerNamed]:
        if self._named or self._speaker is None:
            return []
        self._named = True
        return [SpeakerNamed(self._speaker)]

    def _draw(self, codes: list[int]) -> list[CodesDrawn]:
        self._any_code = self._any_code or bool(codes)
        return [CodesDrawn(tuple(codes))] if codes else []
