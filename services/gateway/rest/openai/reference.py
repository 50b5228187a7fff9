"""Reference audio in the body of a request, under the names that clone servers have for it."""

import asyncio
import base64
import binascii
import re
from collections.abc import Mapping

from services.gateway.request import ReferenceVoice
from services.runtime.errors import InvalidRequest, Unsupported
from services.runtime.quoted import quoted

# vLLM-Omni's; Spark-TTS's servers'; Chatterbox's; CosyVoice's; XTTS's.
AUDIO_FIELDS = ("ref_audio", "reference_audio", "audio_prompt", "prompt_audio", "prompt_wav", "speaker_wav")
TRANSCRIPT_FIELDS = ("ref_text", "reference_text", "prompt_text", "ref_audio_text", "reference_transcript")
# What names a speaker in ways that cannot be followed here: the wrong one would speak.
_UNKNOWN_SPEAKERS = (
    *("references", "reference_id", "ref_audio_path", "reference_audio_path", "reference_audio_file", "ref_audio_url"),
    *("audio_prompt_path", "reference_audio_filename", "spk_audio_prompt", "speaker_audio", "speaker_embedding"),
    *("speaker_embedding_file", "latent_file", "voice_wav", "voice_url", "clone_voice", "voice_sample"),
)
_DATA_URL = re.compile(r"data:[^,]{0,200}?(?P<base64>;base64)?,", re.IGNORECASE)
_LOCATION = re.compile(r"[a-z][a-z0-9+.-]*:|[./~\\]+[^/\\]*[/\\.]", re.IGNORECASE)
# The alphabet of URLs, too, and lines.
_TO_BASE64 = str.maketrans("-_", "+/", " \t\r\n")


def reference_fields(extra: Mapping[str, object]) -> tuple[str, str]:
    """What the audio and its words are called in a body's fields; empty for what is absent.

    Raises InvalidRequest where a field comes twice, or the words without the audio; Unsupported for a speaker that
    cannot be had this way.
    """
    given = [name for name, value in extra.items() if value is not None]
    for name in given:
        if name in _UNKNOWN_SPEAKERS:
            raise Unsupported(
                f"A speaker cannot be given as {name!r}; send the recording in base64 as {AUDIO_FIELDS[0]!r}, or store "
                "it with POST /v1/audio/voices and name it as 'voice'.",
                field=name,
            )
    audio, transcript = _only(AUDIO_FIELDS, given), _only(TRANSCRIPT_FIELDS, given)
    if transcript and not audio:
        raise InvalidRequest(
            f"The words of a reference without its audio; send that in base64 as {AUDIO_FIELDS[0]!r}.", field=transcript
        )
    return audio, transcript


async def reference_voice(extra: Mapping[str, object], audio: str, transcript: str) -> ReferenceVoice:
    """The fields of these names. Raises InvalidRequest."""
    for name in (audio, transcript):
        if name and not isinstance(extra[name], str):
            raise InvalidRequest("It must be a string.", field=name)
    words = str(extra[transcript]) if transcript else ""
    return ReferenceVoice(await asyncio.to_thread(_decoded, str(extra[audio]), audio), words)


def _only(names: tuple[str, ...], given: list[str]) -> str:
    found = [name for name in given if name in names]
    if len(found) > 1:
        raise InvalidRequest(f"It is the same as {found[0]!r}; send one of them.", field=found[1])
    return found[0] if found else ""


def _decoded(text: str, field: str) -> bytes:
    if data := _DATA_URL.match(text):
        if not data["base64"]:
            raise InvalidRequest("A data URL of a recording must be in base64: data:audio/wav;base64,...", field=field)
        text = text[data.end() :]
    elif _LOCATION.match(text):
        raise InvalidRequest(
            f"{quoted(text)} is a place to fetch the recording from, and this server fetches nothing; send the "
            "recording itself, in base64 or as a data URL.",
            field=field,
        )
    plain = text.translate(_TO_BASE64).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InvalidRequest(
            "This is no base64. A recording is sent in base64 or as a data URL: data:audio/wav;base64,...", field=field
        ) from exc
