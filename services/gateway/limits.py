"""How large the values of a request may be: all limits of values, in one place. Each is a setting of the gateway. What
connections and bodies may cost is in `http/limits.py` and `rest/body_limits.py`.

Fields are called as in the internal request; each door names them as its caller does (`renamed_fields`).
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from services.gateway.request import Flush, ReferenceVoice, SpeechRequest, TextPiece, TextStreamRequest, VoiceSelection
from services.gateway.text.storable import check_text
from services.runtime.errors import InvalidRequest, TooLarge

_PREFIX = "VOXLINE_GATEWAY_MAX_"


@dataclass(frozen=True)
class ValueLimits:
    """In characters. `text`: of all turns together, about an hour of speech. `piece`: of one message of a text stream;
    `pieces`: of all that it says. `transcript`: the model reads it at every use of the voice; a recording has up to a
    minute, and nobody says more than 30 characters a second. `voices_per_key`: a number; 0 is no bound.
    """

    text: int = 50_000
    piece: int = 50_000
    pieces: int = 200_000
    transcript: int = 2000
    name: int = 200
    instructions: int = 4096
    voices_per_key: int = 1000

    def check_speech(self, request: SpeechRequest) -> None:
        """Raises TooLarge, InvalidRequest."""
        _check("text", sum(len(turn.text) for turn in request.turns), self.text, "TEXT_CHARACTERS")
        for turn in request.turns:
            self._check_voice(turn.voice)

    def check_text_stream(self, request: TextStreamRequest) -> None:
        """Raises TooLarge, InvalidRequest."""
        self._check_voice(request.voice)

    async def checked(self, pieces: AsyncGenerator[TextPiece, None]) -> AsyncGenerator[TextPiece, None]:
        """Owns `pieces`. Raises TooLarge at the piece that is too much."""
        said = 0
        async with aclosing(pieces):
            async for piece in pieces:
                if not isinstance(piece, Flush):
                    said += len(piece)
                    _check("text", len(piece), self.piece, "PIECE_CHARACTERS")
                    _check("text", said, self.pieces, "STREAM_CHARACTERS")
                yield piece

    def check_transcript(self, transcript: str) -> None:
        """Raises TooLarge, InvalidRequest."""
        _check("transcript", len(transcript), self.transcript, "TRANSCRIPT_CHARACTERS")
        check_text(transcript, "transcript")

    def check_name(self, display_name: str) -> None:
        """Raises TooLarge, InvalidRequest."""
        _check("display_name", len(display_name), self.name, "NAME_CHARACTERS")
        check_text(display_name, "display_name")

    def check_instructions(self, instructions: str) -> None:
        """Raises InvalidRequest, as OpenAI's API does."""
        if len(instructions) > self.instructions:
            raise InvalidRequest(
                _too_long("instructions", len(instructions), self.instructions, "INSTRUCTIONS_CHARACTERS"),
                field="instructions",
            )

    def _check_voice(self, voice: VoiceSelection) -> None:
        if isinstance(voice, ReferenceVoice):
            self.check_transcript(voice.transcript)


def _check(field: str, found: int, most: int, setting: str) -> None:
    if found > most:
        raise TooLarge(_too_long(field, found, most, setting), field=field)


def _too_long(field: str, found: int, most: int, setting: str) -> str:
    what = field.replace("_", " ")
    return f"Too many characters in the {what}: {found}, at most {most} are allowed ({_PREFIX}{setting} of the server)."
