"""What was said in a reply so far, for models that read it: earlier turns keep the voice and the manner."""

from dataclasses import replace

from services.contract.generation import Turn, VoiceInput
from services.gateway.utterance import Utterance


class Conversation:
    """`max_frames`: of all turns that a model reads, those of a reference among them; None where it reads none."""

    def __init__(self, max_frames: int | None) -> None:
        self._max_frames = max_frames
        self._voices: list[VoiceInput] = []
        self._turns: list[tuple[int, Turn]] = []

    def add(self, voice: VoiceInput, text: str, utterance: Utterance) -> None:
        """All of the utterance has been drawn."""
        if self._max_frames is not None:
            self._turns.append((self._number(voice), Turn(text, utterance.all())))

    def continued(self, voice: VoiceInput) -> VoiceInput:
        """The voice with its own context, then the latest turns that fit beside it."""
        if self._max_frames is None:
            return voice
        left = self._max_frames - sum(map(_frames, voice.context))
        latest: list[Turn] = []
        for number, turn in reversed(self._turns):
            left -= _frames(turn)
            if left < 0:
                break
            latest.append(replace(turn, speaker="" if number == self._number(voice) else f"speaker {number + 1}"))
        return replace(voice, context=(*voice.context, *reversed(latest)))

    def _number(self, voice: VoiceInput) -> int:
        if voice not in self._voices:
            self._voices.append(voice)
        return self._voices.index(voice)


def _frames(turn: Turn) -> int:
    return 0 if turn.frames is None else len(turn.frames)
