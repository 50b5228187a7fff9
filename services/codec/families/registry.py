"""Codec families by name, imported only when one is loaded."""

from importlib import import_module
from pathlib import Path
from typing import Any

from services.contract.model import Revision

# name -> role -> "module:Class"; each class has `load(model_dir, device)`, with options.
FAMILIES = {
    "spark": {
        "tokenizer": "services.codec.families.spark.tokenizer:SparkTokenizer",
        "detokenizer": "services.codec.families.spark.decoder:SparkDetokenizer",
    },
}

# name -> "module:function" of a checkpoint's folder and a cache: the revision of the codec.
REVISIONS = {"spark": "services.contract.families.spark:codec_revision"}


def revision(family: str, model_dir: Path, cache: Path) -> Revision:
    """What the codec is made of. Reads all of it, unless the cache knows it."""
    module, name = REVISIONS[family].split(":")
    return Revision(codec=getattr(import_module(module), name)(model_dir, cache))


def load(family: str, role: str, model_dir: Path, threads: int, device: str = "cpu", **options: object) -> Any:
    """The half of the codec that `role` needs, on `threads` CPU threads of this process, or on another `device` of
    torch's.

    Raises CheckpointError, a ValueError, for an unusable checkpoint, and ValueError for what it cannot follow.
    """
    import torch

    try:
        torch.empty(0, device=device)
    except (AssertionError, RuntimeError) as exc:  # torch asserts that it was built for CUDA.
        raise ValueError(f"device {device} cannot be used: {str(exc).splitlines()[0]}") from exc
    torch.set_num_threads(threads)
    module, name = FAMILIES[family][role].split(":")
    return getattr(import_module(module), name).load(model_dir, device, **options)
