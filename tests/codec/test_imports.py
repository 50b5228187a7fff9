"""What a stage of the codec imports decides how soon it serves, and a third of its memory."""

import subprocess
import sys

import pytest

from services.cli.model import BUNDLED

_LOAD = """
import sys
from pathlib import Path
from services.codec.families.registry import load
load("spark", sys.argv[1], Path(sys.argv[2]), 1, "cpu")
print(*{"torch._dynamo", "transformers"} & sys.modules.keys())
"""


@pytest.mark.parametrize("role", ["tokenizer", "detokenizer"])
def test_neither_transformers_nor_the_compiler_of_torch_is_imported(role: str) -> None:
    command = (sys.executable, "-c", _LOAD, role, str(BUNDLED))
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == ""
