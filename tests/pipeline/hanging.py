"""`python hanging.py FILE MODULE ARGUMENTS...`: a stage of which what computes hangs once FILE exists, as behind a
driver that hangs: its thread waits for ever, and all else in the process goes on.
"""

import runpy
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from services.codec.batching import TokenizeBatcher
from services.codec.families.spark.decoder import SparkDetokenizer
from services.llm.engines.stepped import SteppedEngine

# What computes one step, by module and role.
STEPS = ((SteppedEngine, "_step"), (SparkDetokenizer, "step"), (TokenizeBatcher, "_tokenize"))


def hanging(step: Callable[..., Any], file: Path) -> Callable[..., Any]:
    def stepped(*arguments: Any) -> Any:
        if file.exists():
            threading.Event().wait()
        return step(*arguments)

    return stepped


if __name__ == "__main__":
    _, file, module, *arguments = sys.argv
    for owner, name in STEPS:
        setattr(owner, name, hanging(getattr(owner, name), Path(file)))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__")
