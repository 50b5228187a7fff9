from dataclasses import replace
from typing import ClassVar

from services.gateway.audio.encoders.aac import AacEncoder


class M4aEncoder(AacEncoder):
    """AAC-LC in MP4, with an edit list that takes the encoder's delay off.

    Streamed, it comes in fragments of two frames, 85 ms at 24 kHz, and states no duration; whole, its index stands at
    the end.
    """

    media_type: ClassVar[str] = "audio/mp4"
    codec = replace(
        AacEncoder.codec,
        container="ipod",
        container_options={"fflags": "+bitexact"},
        streamed_options={"movflags": "empty_moov+default_base_moof+delay_moov", "frag_duration": "50000"},
    )
