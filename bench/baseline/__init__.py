"""Spark-TTS as others serve it: transformers' `generate` for one request at a time, chunks decoded alone and then
cross-faded. The model, its prompts and its layers are ours, so that only the serving differs.
"""
