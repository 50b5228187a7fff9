"""The layers of BiCodec. One mechanism (`frames`) serves whole, streamed and batched computation."""
