"""Spark-TTS: the BiCodec codec, computed by our own layers from the published checkpoint layout."""
