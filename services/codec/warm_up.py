"""A detokenizer before its first listener: memory is touched."""

from typing import TypeVar

from services.codec.codec import Detokenizer
from services.codec.stream_scheduler import Chunking

Stream = TypeVar("Stream")


def warm_up(detokenizer: Detokenizer[Stream], chunking: Chunking) -> None:
    """Decodes the chunks of a long utterance."""
    look_ahead = detokenizer.usual_look_ahead
    stream = detokenizer.open((0,) * detokenizer.global_token_count, look_ahead)
    size, longer = 0, look_ahead + chunking.first_frames
    while longer != size and (not size or longer <= chunking.max_step_frames):
        size = longer
        samples = detokenizer.step([(stream, (0,) * size, False)])[0]
        longer = chunking.after(len(samples) // detokenizer.hop)
