"""POST /v1/audio/speech: a text, spoken."""

import asyncio
import re
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import Response

from services.contract.sampling import Sampling
from services.gateway.audio.encoders import ENCODERS
from services.gateway.interface import SpeechGateway, renamed_fields
from services.gateway.reply import Reply
from services.gateway.request import NamedVoice, Output, ReferenceVoice, SpeechRequest, Style, Turn
from services.gateway.rest.dependencies import TheGateway
from services.gateway.rest.middleware.entrance import DOCUMENTED_KEY
from services.gateway.rest.openai import sse
from services.gateway.rest.openai.instructions import style_of
from services.gateway.rest.openai.reference import AUDIO_FIELDS, TRANSCRIPT_FIELDS, reference_fields, reference_voice
from services.gateway.rest.streamed import StreamedResponse
from services.runtime.errors import InvalidRequest, VoiceNotFound

router = APIRouter(tags=["OpenAI"])

# Hz. Every client assumes this rate for `pcm`, and none asks for it.
SAMPLE_RATE = 24_000
# Header of a reply of which a part is known to be cut at a limit of tokens before its first byte is sent.
TRUNCATED = "x-voxline-truncated"
# Header of a reply to a body with instructions: what of them is followed, e.g. "pitch=low, speed=very_low", or "none".
FOLLOWED = "x-voxline-instructions"
# Header of a reply to a body of which fields were ignored: their names.
IGNORED = "x-voxline-ignored"
_MOST_NAMES = 20
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MAX_UINT32 = 2**32 - 1
_NO_STYLE = Style()
# Characters.
_SHORT_INSTRUCTIONS = 500
_FIELDS = {"text": "input", "encoding": "response_format"} | {
    f"sampling.{name}": name for name in Sampling.__dataclass_fields__
}


def _whole_characters(value: object) -> object:
    """JavaScript cuts strings between the halves of a surrogate pair: a lone half becomes U+FFFD, the rest stays.
    Python's codecs take 180 ms for 600 000 of them.
    """
    if not isinstance(value, str):
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        points = np.array(value, f"U{len(value)}").reshape(1).view(np.uint32)
        np.putmask(points, points - np.uint32(0xD800) < np.uint32(0x800), np.uint32(0xFFFD))
        return points.tobytes().decode("utf-32")
    return value


Text = Annotated[str, BeforeValidator(_whole_characters)]


class VoiceId(BaseModel):
    id: Text


class SpeechBody(BaseModel):
    """OpenAI's fields, then ours. null is the same as absent. Unknown fields are ignored, and the reply names them; a
    reference recording has several names.
    """

    model_config = ConfigDict(
        allow_inf_nan=False,
        extra="allow",
        json_schema_extra={
            "examples": [{"model": "tts-1", "input": "The quick brown fox jumps over the lazy dog.", "voice": "alloy"}]
        },
    )

    input: Text = Field(description="The text to speak.")
    model: Text | None = Field(None, description="Id of the served model or an alias; absent: whatever is served.")
    voice: Text | VoiceId | None = Field(
        None, description="Id of a voice, bare or as an object; absent: the default voice."
    )
    instructions: Text | None = Field(
        None,
        description='How to speak, for voices that are designed: words on pitch and pace, e.g. "slowly", and without '
        f"`voice` on gender. The header `{FOLLOWED}` of the reply tells what is followed.",
    )
    ref_audio: str | None = Field(
        None,
        description="A recording to clone for this reply, in base64 or as a data URL; in place of `voice`. Also called "
        f"{', '.join(AUDIO_FIELDS[1:])}.",
    )
    ref_text: Text | None = Field(
        None, description=f"The exact words of the recording. Also called {', '.join(TRANSCRIPT_FIELDS[1:])}."
    )
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm", "ogg", "webm", "m4a"] | None = Field(
        None, description="Absent: mp3. pcm is signed 16-bit little-endian mono; ogg and webm hold opus, m4a aac."
    )
    speed: float | None = Field(None, description="Tempo, 0.25 to 4; the pitch stays.", examples=[1.0])
    stream_format: Literal["audio", "sse"] | None = Field(
        None, description="audio (default): the bytes as they come; sse: events with pieces of them in base64."
    )
    sample_rate: int | Literal["native"] | None = Field(
        None, description=f'Hz; absent: {SAMPLE_RATE}. "native": as the model makes it, without resampling.'
    )
    stream: bool | None = Field(
        None,
        description="false: nothing is sent before all is made; then the length is told, also in wav and flac.",
    )
    seed: int | None = Field(None, description="0 to 2^63 - 1; the same seed gives the same speech.")
    temperature: float | None = Field(None, description="0 to 2; 0 is greedy. Absent: the model's default.")
    top_k: int | None = Field(None, ge=0, le=_MAX_UINT32, description="0 turns it off.")
    top_p: float | None = Field(None, description="Above 0, at most 1.")
    repetition_penalty: float | None = Field(None, description="Above 0, at most 2; 1 turns it off.")
    max_tokens: int | None = Field(
        None, ge=1, le=_MAX_UINT32, description="Most tokens to draw for each segment of the text."
    )


def to_speech(body: SpeechBody, style: Style = _NO_STYLE, reference: ReferenceVoice | None = None) -> SpeechRequest:
    voice = body.voice.id if isinstance(body.voice, VoiceId) else body.voice
    turn = Turn(body.input, reference or NamedVoice.parse(voice or ""), style)
    return SpeechRequest((turn,), _sampling(body), _output(body), body.model or "")


async def _style(body: SpeechBody) -> Style:
    """In a thread where it takes more than a millisecond, up to twenty."""
    instructions = body.instructions or ""
    short = len(instructions) < _SHORT_INSTRUCTIONS
    return style_of(instructions) if short else await asyncio.to_thread(style_of, instructions)


def _sampling(body: SpeechBody) -> Sampling:
    return Sampling(
        temperature=body.temperature,
        top_k=body.top_k,
        top_p=body.top_p,
        repetition_penalty=body.repetition_penalty,
        max_tokens=body.max_tokens,
        seed=body.seed,
    )


def _output(body: SpeechBody) -> Output:
    wanted = SAMPLE_RATE if body.sample_rate is None else body.sample_rate
    sample_rate = None if wanted == "native" else wanted
    speed = 1.0 if body.speed is None else body.speed
    return Output(body.response_format or "mp3", sample_rate, speed, whole=body.stream is False)


async def _with_voice(body: SpeechBody, gateway: SpeechGateway) -> SpeechBody:
    """LibreChat, set to LocalAI, names the voice in `model`."""
    if body.voice is not None or not body.model or any(model.is_named(body.model) for model in gateway.models()):
        return body
    try:
        voice = await gateway.voices.get(body.model)
    except (InvalidRequest, VoiceNotFound):
        return body
    return body.model_copy(update={"model": None, "voice": voice.id})


def _as_audio(reply: Reply, headers: dict[str, str]) -> Response:
    told = {TRUNCATED: "true"} if reply.usage.truncated else {}
    if reply.size is not None:
        told["content-length"] = str(reply.size)
    return StreamedResponse(reply.chunks, reply.media_type, headers | told)


def _as_events(reply: Reply, headers: dict[str, str]) -> Response:
    return StreamedResponse(sse.events(reply), sse.MEDIA_TYPE, headers | sse.HEADERS)


def _told(body: SpeechBody, reply: Reply, audio_field: str) -> dict[str, str]:
    """What of the body is followed, and what is not."""
    headers = {}
    if body.instructions:
        style = {name: value.value for name, value in vars(reply.usage.style).items() if value is not None}
        headers[FOLLOWED] = ", ".join(f"{name}={value}" for name, value in style.items()) or "none"
    known = {*AUDIO_FIELDS, *TRANSCRIPT_FIELDS}
    ignored = [name for name, value in (body.model_extra or {}).items() if value is not None and name not in known]
    ignored += ["voice"] if audio_field and body.voice else []
    if names := [name for name in ignored if _PLAIN_NAME.fullmatch(name)][:_MOST_NAMES]:
        headers[IGNORED] = ", ".join(names)
    return headers


_STREAM_FORMATS = {"audio": _as_audio, "sse": _as_events}
_BINARY = {"schema": {"type": "string", "format": "binary"}}


@router.post(
    "/v1/audio/speech",
    summary="Speak a text",
    dependencies=DOCUMENTED_KEY,
    response_class=Response,
    responses={
        200: {
            "description": "One continuous audio stream, or its pieces as events.",
            "content": {
                **{encoder.media_type: _BINARY for encoder in ENCODERS.values()},
                sse.MEDIA_TYPE: {"schema": {"type": "string"}},
            },
        }
    },
)
async def create_speech(body: SpeechBody, gateway: TheGateway) -> Response:
    fields = {"ref_audio": body.ref_audio, "ref_text": body.ref_text} | (body.model_extra or {})
    audio, transcript = reference_fields(fields)
    names = {"audio": audio or AUDIO_FIELDS[0], "transcript": transcript or TRANSCRIPT_FIELDS[0]}
    with renamed_fields(_FIELDS | names):
        gateway.limits.check_instructions(body.instructions or "")
        reference = await reference_voice(fields, audio, transcript) if audio else None
        spoken = body if reference else await _with_voice(body, gateway)
        reply = await gateway.speak(to_speech(spoken, await _style(body), reference))
    return _STREAM_FORMATS[body.stream_format or "audio"](reply, _told(body, reply, audio))
