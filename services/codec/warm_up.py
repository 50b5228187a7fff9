"""A detokenizer before its first listener: what is made once for each size of a step (code, on a CPU) is made then."""

import time
from typing import TypeVar

from services.codec.codec import Detokenizer
from services.codec.stream_scheduler import Chunking

Stream = TypeVar("Stream")

_SECONDS = 1.5


def warm_up(detokenizer: Detokenizer[Stream], chunking: Chunking) -> None:
    """Decodes the chunks of long utterances: for a lone listener, then for more and more, while the time lasts."""
    until = time.monotonic() + _SECONDS
    look_ahead = detokenizer.usual_look_ahead
    for listeners in range(1, chunking.max_batch + 1):
        streams = [detokenizer.open((0,) * detokenizer.global_token_count, look_ahead) for _ in range(listeners)]
        size, longer = 0, look_ahead + chunking.first_frames
        while longer != size and (not size or listeners * longer <= chunking.max_step_frames):
            size = longer
            samples = detokenizer.step([(stream, (0,) * size, False) for stream in streams])[0]
            if time.monotonic() > until:
                return
            longer = chunking.after(len(samples) // detokenizer.hop)
