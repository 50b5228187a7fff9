from dataclasses import replace
from typing import ClassVar

from services.gateway.audio.encoders.opus import OpusEncoder


class WebmEncoder(OpusEncoder):
    """Opus in WebM, a cluster every 100 ms. Streamed, it states no duration; whole, it does, and can be searched.

    `bitexact`: the file's identifier follows from its contents, else it would be random.
    """

    media_type: ClassVar[str] = "audio/webm"
    codec = replace(
        OpusEncoder.codec,
        container="webm",
        container_options={"fflags": "+bitexact", "cluster_time_limit": "100"},
    )
