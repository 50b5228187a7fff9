"""Codec families by name, imported only when one is loaded."""

from importlib import import_module
from pathlib import Path
from typing import Any

# name -> role -> "module:Class"; each class has `load(model_dir)`, with options.
FAMILIES = {
    "spark": {
        "tokenizer": "services.codec.families.spark.tokenizer:SparkTokenizer",
        "detokenizer": "services.codec.families.spark.decoder:SparkDetokenizer",
    },
}


def load(family: str, role: str, model_dir: Path, threads: int, **options: object) -> Any:
    """The half of the codec that `role` needs, on `threads` CPU threads of this process.

    Raises CheckpointError, a ValueError, for an unusable checkpoint, and ValueError for what it cannot follow.
    """
    import torch

    torch.set_num_threads(threads)
    module, name = FAMILIES[family][role].split(":")
    return getattr(import_module(module), name).load(model_dir, **options)
