"""Messages of the public gRPC API -> the gateway's own request. Absent fields keep the gateway's defaults."""

from collections.abc import Mapping

from services.contract.design import DesignedVoice
from services.contract.sampling import Sampling
from services.gateway.request import (
    NamedVoice,
    Output,
    ReferenceVoice,
    SpeechRequest,
    TextStreamRequest,
    Turn,
    VoiceSelection,
)
from services.runtime.errors import InvalidRequest
from services.runtime.quoted import quoted
from voxline.v1 import audio_pb2, text_to_speech_pb2

ENCODINGS: Mapping["audio_pb2.AudioEncoding.ValueType", str] = {
    audio_pb2.AUDIO_ENCODING_UNSPECIFIED: "pcm",
    audio_pb2.AUDIO_ENCODING_PCM: "pcm",
    audio_pb2.AUDIO_ENCODING_WAV: "wav",
    audio_pb2.AUDIO_ENCODING_MP3: "mp3",
    audio_pb2.AUDIO_ENCODING_OPUS: "opus",
    audio_pb2.AUDIO_ENCODING_AAC: "aac",
    audio_pb2.AUDIO_ENCODING_FLAC: "flac",
}
_PREFIX = "voices/"
# Of a stored voice.
_CHANGEABLE = ("display_name", "transcript")


def to_speech(message: text_to_speech_pb2.SynthesizeRequest) -> SpeechRequest:
    turn = Turn(message.text, to_voice(message.voice))
    return SpeechRequest((turn,), Sampling.from_proto(message.sampling), to_output(message), message.model)


def to_text_stream(config: text_to_speech_pb2.SynthesizeRequest) -> TextStreamRequest:
    if config.text:
        raise InvalidRequest("The config of a text stream holds no text; send it in messages of its own.", field="text")
    return TextStreamRequest(
        to_voice(config.voice),
        sampling=Sampling.from_proto(config.sampling),
        output=to_output(config),
        model=config.model,
    )


def to_voice(message: text_to_speech_pb2.VoiceSelection) -> VoiceSelection:
    if message.HasField("design"):
        return DesignedVoice.from_proto(message.design, "voice.design")
    if message.HasField("reference"):
        return ReferenceVoice(message.reference.audio, message.reference.transcript)
    return NamedVoice.parse(message.name, "voice.name")


def to_changes(message: text_to_speech_pb2.UpdateVoiceRequest) -> dict[str, str]:
    """Field -> its new value, by the mask; without one, of those that are not empty."""
    paths = message.update_mask.paths or [name for name in _CHANGEABLE if getattr(message.voice, name)]
    if wrong := [path for path in paths if path not in _CHANGEABLE]:
        raise InvalidRequest(
            f"{quoted(wrong[0])} cannot be changed; {' and '.join(_CHANGEABLE)} can.", field="update_mask"
        )
    return {path: getattr(message.voice, path) for path in paths}


def to_voice_id(name: str, field: str = "name") -> str:
    """Of "voices/{voice}"."""
    if not name.removeprefix(_PREFIX) or not name.startswith(_PREFIX):
        raise InvalidRequest(f"{quoted(name)} is no voice name; it reads voices/ and the id.", field=field)
    return name.removeprefix(_PREFIX)


def to_output(message: text_to_speech_pb2.SynthesizeRequest) -> Output:
    config = message.audio_config
    if config.encoding not in ENCODINGS:
        names = ", ".join(f"{audio_pb2.AudioEncoding.Name(each)} ({each})" for each in ENCODINGS if each)
        raise InvalidRequest(f"{config.encoding} is no audio encoding; there are {names}.", field="encoding")
    return Output(ENCODINGS[config.encoding], config.sample_rate_hertz or None, message.speed or 1.0)
