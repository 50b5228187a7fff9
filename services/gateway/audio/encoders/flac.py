from typing import ClassVar

from services.gateway.audio.encoders.container import Codec, ContainerEncoder


class FlacEncoder(ContainerEncoder):
    """FLAC, 16 bits. Streamed, the header's count of samples and checksum are 0, meaning unknown; whole, they are set.

    Players and FFmpeg take either; libsndfile only reads whole ones. No padding block, which would be 8 KB ahead of the
    first sound.
    """

    media_type: ClassVar[str] = "audio/flac"
    codec = Codec(
        container="flac", name="flac", sample_format="s16", container_options={"metadata_header_padding": "0"}
    )
