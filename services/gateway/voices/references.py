"""Reference audio -> tokens, once per recording: the same file is not tokenised again, by any gateway."""

import asyncio
import hashlib
from contextlib import suppress

from services.contract.model import Capability, codec_files
from services.contract.tokenization import TokenizationRequest, TokenizedRecording
from services.gateway.stages import Model, Stages
from services.gateway.voices.store import VoiceStore
from services.gateway.voices.stored_voice import StoredVoice
from services.runtime.errors import DeadlineExceeded, InvalidRequest, StageUnavailable, StoreUnavailable, WrongRevision

# So often a replica of the right revision is looked for, with a pause of so many seconds.
_ATTEMPTS, _PAUSE_SECONDS = 10, 0.1


async def audio_hash(audio: bytes) -> str:
    """In a thread: a large file takes tens of milliseconds."""
    return await asyncio.to_thread(lambda: hashlib.sha256(audio).hexdigest())


def check_continued(tokens: TokenizedRecording, transcript: str, model: Model) -> None:
    """Raises InvalidRequest, with field `audio`, for a reference that is too long to be continued by its transcript."""
    most = model.llm.max_reference_frames
    if most is None or not transcript.strip() or not model.can(Capability.CLONE_WITH_TRANSCRIPT):
        return
    if len(tokens.frames) > most:
        allowed, has = (frames / model.frames.frame_rate for frames in (most, len(tokens.frames)))
        raise InvalidRequest(
            f"With a transcript the reference audio may have {allowed:g} s, and has {has:.1f}; send less of it, or "
            "leave out the transcript.",
            field="audio",
        )


def _longest(transcript: str, model: Model) -> float | None:
    """Seconds of a recording that count: of one with its transcript all, which is what the model continues."""
    most = model.llm.max_reference_frames
    if most is None or (transcript.strip() and model.can(Capability.CLONE_WITH_TRANSCRIPT)):
        return None
    return most / model.frames.frame_rate


class References:
    def __init__(self, stages: Stages, store: VoiceStore) -> None:
        self._stages = stages
        self._store = store

    async def tokens(self, audio: bytes, transcript: str, model: Model) -> TokenizedRecording:
        """Without the recording. Raises what the tokenizer raises, and what `check_continued` does."""
        made = await self._remembered(audio, _longest(transcript, model), model)
        check_continued(made, transcript, model)
        return made

    async def _remembered(self, audio: bytes, longest: float | None, model: Model) -> TokenizedRecording:
        revision, digest = model.revision.codec, await audio_hash(audio)
        if not revision:  # Nothing can be remembered of a codec that does not tell what it is made of.
            return await self._tokenized(audio, model, longest)
        if longest is not None:
            digest = f"{digest} {longest:g}"
        # While the database is away, nothing is remembered either.
        with suppress(StoreUnavailable):
            if known := await self._store.reference(revision, digest):
                return known
        made = await self._tokenized(audio, model, longest)
        with suppress(StoreUnavailable):
            await self._store.keep_reference(revision, digest, made)
        return made

    async def recorded(self, audio: bytes, transcript: str, model: Model) -> TokenizedRecording:
        """With the recording, to be stored. Raises what `tokens` does."""
        made = await self._tokenized(audio, model, _longest(transcript, model), keep=True)
        check_continued(made, transcript, model)
        return made

    async def of_voice(self, voice: StoredVoice, model: Model) -> TokenizedRecording:
        """What the served codec makes of a stored voice: made again from its recording where another codec made it, or
        recordings were cleaned in another way.

        Raises InvalidRequest for a voice of another codec whose recording was not kept.
        """
        if voice.codec_revision == model.revision.codec:
            return voice.tokens
        recording = await self._store.recording(voice.id, voice.owner)
        if recording is None:
            if codec_files(voice.codec_revision) == model.revision.codec_files:
                return voice.tokens
            raise InvalidRequest(
                f"Voice '{voice.id}' was cloned with another codec, that of the model '{voice.model_id}' at that time, "
                "and its recording was not kept. Delete it and create it again from its reference audio.",
                field="voice",
            )
        made = await self._tokenized(recording, model, _longest(voice.transcript, model))
        await self._store.retokenized(voice.id, model.revision.codec, made, voice.owner)
        return made

    async def _tokenized(
        self, audio: bytes, model: Model, longest: float | None, keep: bool = False
    ) -> TokenizedRecording:
        request = TokenizationRequest.of(audio, model.revision, keep, longest)
        waited_in_vain = False
        for _ in range(_ATTEMPTS):
            try:
                return await self._stages.tokenizer.tokenize(request)
            except DeadlineExceeded as exc:
                if waited_in_vain or not exc.broken:
                    raise
                waited_in_vain = True
            except WrongRevision:
                self._stages.refresh()
                await asyncio.sleep(_PAUSE_SECONDS)
        raise StageUnavailable("No replica of the tokenizer serves the revision that the other stages serve.")
