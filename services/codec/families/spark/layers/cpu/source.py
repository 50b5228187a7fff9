"""What the operations are compiled from. It imports nothing that a build would have to install."""

from pathlib import Path

from services.runtime.compiled import Source

_FILES = ("operations.cpp", "columns.h", "convolution.h", "x86.h", "aarch64.h", "tile.h")
SOURCE = Source(
    name="voxline-codec",
    files=tuple(Path(__file__).parent / name for name in _FILES),
    # Not -ffast-math: it would put the two parts of pi together again.
    flags=("-fopenmp", "-Wno-psabi", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"),
    without="so the detokenizer runs on torch's operators alone, which are slower.",
)
