"""What the listeners ask for: sentences of nine words, in turn."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SENTENCES = tuple((Path(__file__).parent / "speech/sentences.txt").read_text().splitlines())
# About what the sentences take when they are read aloud.
_TOKENS_PER_CHARACTER = 3


@dataclass(frozen=True)
class Ask:
    """`max_tokens`: None leaves the end to the model."""

    text: str
    seed: int
    max_tokens: int | None = None


def asks(fixed_length: bool = False) -> Iterator[Ask]:
    """Without end. `fixed_length`: for a model that never stops by itself, as many tokens as the text may take."""
    for seed, text in enumerate(itertools.cycle(SENTENCES)):
        yield Ask(text, seed, _TOKENS_PER_CHARACTER * len(text) if fixed_length else None)
