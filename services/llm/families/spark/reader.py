"""Generated ids of Spark-TTS -> speaker, then frames, and what a prefix of them needs beside the frames.

A designed voice that is not pinned starts with its acoustic block: style tokens, the global tokens, and
`<|end_global_token|>`. Then, for every voice, come semantic tokens, one a frame; whatever else is drawn between them
carries no frame and is skipped, as the reference skips it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.contract.families.spark import SparkSpeaker
from services.contract.frames import Frames
from services.contract.generation import Progress
from services.contract.speaker import Speaker
from services.llm.families.spark.prefixes import Skipped
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
        self._frames = 0
        self._skipped = Skipped()

    def read(self, ids: Sequence[int], last: bool) -> Progress:
        skipped = len(self._skipped)
        codes = [code for token in ids if (code := self._read(token)) is not None]
        if last and self._speaker is None:
            self._close_block()
        return Progress(
            speaker=self._newly_named(),
            frames=self._drawn(codes),
            resume=self._skipped.to_bytes() if len(self._skipped) > skipped else None,
        )

    def _read(self, token: int) -> int | None:
        """The code of the token's frame."""
        if self._speaker is None:
            self._read_block(token)
        code = self._alphabet.semantic.get(token)
        self._skipped.count(token, code is None)
        return code

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
        self._speaker = SparkSpeaker(tuple(self._globals), tuple(self._style)).speaker()

    def _newly_named(self) -> Speaker | None:
        if self._named or self._speaker is None:
            return None
        self._named = True
        return self._speaker

    def _drawn(self, codes: list[int]) -> Frames | None:
        first = self._frames
        self._frames += len(codes)
        return Frames.of_codes(codes, first=first) if codes else None
