"""What the engine is compiled from. It imports nothing that a build would have to install."""

from pathlib import Path

from services.runtime.compiled import Source

_FILES = ("qwen2.cpp", "x86.h", "aarch64.h", "products.h", "attention.h", "pool.h", "sampling.h")
SOURCE = Source(
    name="voxline-llm",
    files=tuple(Path(__file__).parent / name for name in _FILES),
    flags=("-pthread", "-Wno-psabi"),
    without="so the LLM runs on transformers, which is many times slower.",
)
