"""The routes of voices: built-in ones, stored clones, and OpenAI's voice names."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Query, UploadFile
from pydantic import BaseModel

from services.gateway.interface import renamed_fields
from services.gateway.rest.dependencies import TheGateway, TheUploads
from services.gateway.rest.middleware.entrance import DOCUMENTED_KEY
from services.gateway.voices.voice import VoiceResource

# Of a form, beside its file.
_MAX_FIELD_BYTES = 256 * 1024

router = APIRouter(tags=["OpenAI"], form_limits={"max_files": 1, "max_fields": 16, "max_part_size": _MAX_FIELD_BYTES})

_FIELDS = {"audio": "audio_sample", "voice_id": "id", "display_name": "name"}


class VoiceBody(BaseModel):
    """`created_at` in Unix seconds, 0 for a built-in voice."""

    id: str
    object: Literal["audio.voice"] = "audio.voice"
    created_at: int
    name: str
    type: Literal["audio_sample", "built_in"]


class HeardPart(BaseModel):
    """In seconds of the recording: without the silence around the speech, and of a long recording without transcript
    the part with the most speech.
    """

    start: float
    end: float


class CreatedVoice(VoiceBody):
    heard: HeardPart | None = None


class VoiceList(BaseModel):
    """OpenAI's list form; `voices` is what Open WebUI and wyoming_openai read."""

    object: str = "list"
    data: list[VoiceBody]
    voices: list[VoiceBody]
    first_id: str | None
    last_id: str | None
    has_more: bool = False


class VoiceNames(BaseModel):
    voices: list[str]


class VoiceDeleted(BaseModel):
    id: str
    object: Literal["audio.voice.deleted"] = "audio.voice.deleted"
    deleted: Literal[True] = True


class VoiceForm(BaseModel):
    """`consent` is accepted and not stored. `transcript` (the exact words of the sample) and `id` are ours."""

    audio_sample: UploadFile
    name: str
    consent: str = ""
    type: Literal["audio_sample"] = "audio_sample"
    transcript: str = ""
    id: str = ""


@router.get("/v1/audio/voices", summary="List voices")
async def list_voices(
    gateway: TheGateway,
    legacy: bool = False,
    after: str = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> VoiceList | VoiceNames:
    """Those behind the voice of id `after`. `?legacy=true` gives the ids alone."""
    with renamed_fields({"page_token": "after"}):
        page = await gateway.voices.list(after, limit)
    voices = [_body(voice) for voice in page.voices]
    if legacy:
        return VoiceNames(voices=[voice.id for voice in voices])
    first, last = (voices[0].id, voices[-1].id) if voices else (None, None)
    return VoiceList(data=voices, voices=voices, first_id=first, last_id=last, has_more=bool(page.next_token))


@router.post(
    "/v1/audio/voices",
    summary="Clone a voice from a recording and keep it",
    dependencies=DOCUMENTED_KEY,
    response_model_exclude_none=True,
)
async def create_voice(
    form: Annotated[VoiceForm, Form(media_type="multipart/form-data")], gateway: TheGateway, uploads: TheUploads
) -> CreatedVoice:
    async with uploads:
        sample = await form.audio_sample.read()
        with renamed_fields(_FIELDS):
            voice = await gateway.voices.create(form.id, form.name, sample, form.transcript)
    heard = None if voice.heard is None else HeardPart(start=round(voice.heard[0], 2), end=round(voice.heard[1], 2))
    return CreatedVoice(**dict(_body(voice)), heard=heard)


@router.get("/v1/audio/voices/{voice_id:path}", summary="Show a voice")
async def get_voice(voice_id: str, gateway: TheGateway) -> VoiceBody:
    return _body(await gateway.voices.get(voice_id))


@router.delete("/v1/audio/voices/{voice_id:path}", summary="Delete a stored voice", dependencies=DOCUMENTED_KEY)
async def delete_voice(voice_id: str, gateway: TheGateway) -> VoiceDeleted:
    return VoiceDeleted(id=await gateway.voices.delete(voice_id))


def _body(voice: VoiceResource) -> VoiceBody:
    return VoiceBody(
        id=voice.id,
        created_at=0 if voice.created_at is None else int(voice.created_at.timestamp()),
        name=voice.display_name,
        type="built_in" if voice.built_in else "audio_sample",
    )
