"""The language model: text to tokens."""
