"""How well the voice says what it is asked to, and as whom it is asked to."""
