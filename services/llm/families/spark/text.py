"""User text -> ids, by a tokenizer that knows no added token: text that spells `<|end_content|>` is text."""

import json
from collections.abc import Mapping
from pathlib import Path

from tokenizers import Tokenizer

from services.llm.checkpoint import UnusableCheckpoint


class SparkTokenizer:
    """Reads tokenizer.json; raises UnusableCheckpoint. `added`: the tokens beyond text, by content."""

    def __init__(self, path: Path) -> None:
        try:
            description = json.loads(path.read_bytes())
            added = description["added_tokens"]
            plain = {**description, "added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
            self._text = Tokenizer.from_str(json.dumps(plain))
        except Exception as exc:  # tokenizers raises bare Exception for a file that it cannot read.
            raise UnusableCheckpoint(f"{path}: {exc}") from exc
        self.added: Mapping[str, int] = {token["content"]: token["id"] for token in added}

    def encode(self, text: str) -> tuple[int, ...]:
        """The ids that the reference gives for `text` between two of its control tokens."""
        return tuple(self._text.encode(text, add_special_tokens=False).ids)
