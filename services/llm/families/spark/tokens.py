"""Ids of Spark-TTS's own tokens, looked up by name: their order differs from checkpoint to checkpoint."""

import re
from collections.abc import Mapping

from services.llm.checkpoint import UnusableCheckpoint

_NUMBERED = re.compile(r"<\|(\w+?)_(\d+)\|>")

SEMANTIC, GLOBAL = "bicodec_semantic", "bicodec_global"
GENDER, PITCH, SPEED = "gender", "pitch_label", "speed_label"


class TokenTable:
    """`added`: every token that the tokenizer adds beyond text, by its content."""

    def __init__(self, added: Mapping[str, int]) -> None:
        self._ids = dict(added)
        self._numbered: dict[str, dict[int, int]] = {}
        for content, token in added.items():
            if match := _NUMBERED.fullmatch(content):
                self._numbered.setdefault(match[1], {})[int(match[2])] = token

    @property
    def all(self) -> tuple[int, ...]:
        """What may be drawn: never text, never an id without a token. Sorted."""
        return tuple(sorted(self._ids.values()))

    def has(self, *names: str) -> bool:
        return all(f"<|{name}|>" in self._ids for name in names)

    def id(self, name: str) -> int:
        """Of `<|name|>`; raises UnusableCheckpoint."""
        token = self._ids.get(f"<|{name}|>")
        if token is None:
            raise UnusableCheckpoint(f"The tokenizer lacks <|{name}|>: not a Spark-TTS checkpoint.")
        return token

    def numbered(self, name: str) -> Mapping[int, int]:
        """Number -> id of the tokens `<|name_0|>`, `<|name_1|>`, ..."""
        return self._numbered.get(name, {})

    def codes(self, name: str, count: int) -> tuple[int, ...]:
        """Ids of codes 0 .. count-1; raises UnusableCheckpoint."""
        ids = self.numbered(name)
        missing = next((code for code in range(count) if code not in ids), None)
        if missing is not None:
            raise UnusableCheckpoint(f"The tokenizer lacks <|{name}_{missing}|>, but the codec has {count} of them.")
        return tuple(ids[code] for code in range(count))
