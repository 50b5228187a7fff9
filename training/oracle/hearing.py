"""What the ears said, kept line by line: what is heard once is not heard again."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from training.oracle.ears import Ears, Heard
from training.oracle.speech import Spoken
from training.oracle.vocoder import Samples


class Hearings:
    def __init__(self, file: Path, ears: Callable[[], Ears]) -> None:
        """ears: made when the first is needed."""
        self._file, self._make = file, ears
        self._ears: Ears | None = None
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
        self._known = {(each.pop("row"), each.pop("sentence")): Heard(**each) for each in map(json.loads, lines)}

    def of(self, row: str, number: int, test: Spoken, sound: Callable[[], Samples]) -> Heard:
        """row: what is heard, and all that it depends on; sound: is asked only for what was never heard."""
        key = (row, number)
        if key not in self._known:
            self._ears = self._ears or self._make()
            heard = self._known[key] = self._ears.hear(sound(), test.text)
            with self._file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({"row": row, "sentence": number, **asdict(heard)}) + "\n")
        return self._known[key]

    def all(self, row: str, tests: list[Spoken], sound: Callable[[int], Samples]) -> Iterator[Heard]:
        for number, test in enumerate(tests):
            yield self.of(row, number, test, lambda number=number: sound(number))  # type: ignore[misc]
