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
            added = {token["content"]: token["id"] for token in description["added_tokens"]}
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise UnusableCheckpoint(f"{path} is no tokenizer: {exc!r}") from exc
        plain = {**description, "added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
        try:
            self._text = Tokenizer.from_str(json.dumps(plain))
        except Exception as exc:  # tokenizers has no class of its own for what it cannot read.
            raise UnusableCheckpoint(f"{path}: {exc}") from exc
        self.added: Mapping[str, int] = added

    def encode(self, text: str) -> tuple[int, ...]:
        """The ids that the reference gives for `text` between two of its control tokens."""
        return tuple(self._text.encode(text, add_special_tokens=False).ids)
