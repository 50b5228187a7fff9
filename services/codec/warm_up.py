"""A detokenizer before its first listener: memory is touched, and what is made once for each size of a step (code,
where torch's operators compute it) is made then.
"""

import time
from typing import TypeVar

from services.codec.chunking import Chunking
from services.codec.codec import Detokenizer

Stream = TypeVar("Stream")

_SECONDS = 1.5


def warm_up(detokenizer: Detokenizer[Stream], chunking: Chunking) -> None:
    """Decodes the chunks of a long utterance; where code is made, then for more and more listeners while time lasts."""
    until = time.monotonic() + _SECONDS
    usual = detokenizer.usual_look_ahead
    look_ahead = detokenizer.right_field if usual is None else usual
    most = chunking.max_batch if detokenizer.makes_code else 1
    for listeners in range(1, most + 1):
        streams = [detokenizer.open(detokenizer.any_speaker, look_ahead) for _ in range(listeners)]
        size, longer = 0, look_ahead + chunking.first_frames
        while longer != size and (not size or listeners * longer <= chunking.max_step_frames):
            size = longer
            frames = detokenizer.frame_format.zeros(size).values
            samples = detokenizer.step([(stream, frames, False) for stream in streams])[0]
            if time.monotonic() > until:
                return
            longer = chunking.after(len(samples) // detokenizer.hop)
