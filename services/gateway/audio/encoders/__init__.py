"""The registry of audio formats, by the names that callers use. A new format is a class and a row."""

from collections.abc import Mapping

from services.gateway.audio.encoders.aac import AacEncoder
from services.gateway.audio.encoders.encoder import Encoder
from services.gateway.audio.encoders.flac import FlacEncoder
from services.gateway.audio.encoders.m4a import M4aEncoder
from services.gateway.audio.encoders.mp3 import Mp3Encoder
from services.gateway.audio.encoders.ogg import OggEncoder
from services.gateway.audio.encoders.opus import OpusEncoder
from services.gateway.audio.encoders.pcm import PcmEncoder
from services.gateway.audio.encoders.wav import WavEncoder
from services.gateway.audio.encoders.webm import WebmEncoder

ENCODERS: Mapping[str, type[Encoder]] = {
    "mp3": Mp3Encoder,
    "opus": OpusEncoder,
    "aac": AacEncoder,
    "flac": FlacEncoder,
    "wav": WavEncoder,
    "pcm": PcmEncoder,
    "ogg": OggEncoder,
    "webm": WebmEncoder,
    "m4a": M4aEncoder,
}

__all__ = ["ENCODERS", "Encoder"]
