"""How samples become frames."""

HOP = 320
FIRST_FRAME = 400
"""Samples that a frame of wav2vec2 hears."""


def frames_of(samples: int) -> int:
    """Frames that wav2vec2 makes of so many samples."""
    return (samples - FIRST_FRAME) // HOP + 1
