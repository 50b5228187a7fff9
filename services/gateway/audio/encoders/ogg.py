from typing import ClassVar

from services.gateway.audio.encoders.opus import OpusEncoder


class OggEncoder(OpusEncoder):
    """The same file as `opus`, under the name and the media type of its container."""

    media_type: ClassVar[str] = "audio/ogg"
