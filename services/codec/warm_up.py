"""A detokenizer before its first listener: memory is touched."""

from typing import TypeVar

from services.codec.chunking import Chunking
from services.codec.codec import Detokenizer

Stream = TypeVar("Stream")


def warm_up(detokenizer: Detokenizer[Stream], chunking: Chunking) -> None:
    """Decodes the chunks of a long utterance."""
    usual = detokenizer.usual_look_ahead
    look_ahead = detokenizer.right_field if usual is None else usual
    stream = detokenizer.open(detokenizer.any_speaker, look_ahead)
    size, longer = 0, look_ahead + chunking.first_frames
    while longer != size and (not size or longer <= chunking.max_step_frames):
        size = longer
        samples = detokenizer.step([(stream, detokenizer.frame_format.zeros(size).values, False)])[0]
        longer = chunking.after(len(samples) // detokenizer.hop)
