"""The published layout of a Spark-TTS checkpoint, written."""
