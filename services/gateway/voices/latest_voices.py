"""The voices that were found lately, for the time when the database is away."""

from services.gateway.voices.stored_voice import StoredVoice

_MOST = 256


class LatestVoices:
    def __init__(self) -> None:
        # The one that was not used for longest comes first.
        self._voices: dict[str, StoredVoice] = {}

    def note(self, voice_id: str, found: StoredVoice | None) -> StoredVoice | None:
        """What the database has said of it."""
        self._voices.pop(voice_id, None)
        if found is not None:
            self._voices[voice_id] = found
        if len(self._voices) > _MOST:
            del self._voices[next(iter(self._voices))]
        return found

    def get(self, voice_id: str) -> StoredVoice | None:
        return self._voices.get(voice_id)
