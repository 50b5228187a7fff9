"""What the language model can learn before there is a codec: to read."""
