"""What is measured: a running server, and how it is asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.texts import Ask


@dataclass(frozen=True)
class System:
    """`pids` by stage; `sample_rate` in Hz of the PCM that it replies with; `body`: fields of every request."""

    name: str
    url: str
    pids: Mapping[str, int]
    sample_rate: int
    body: Mapping[str, object] = field(default_factory=dict)

    def request(self, ask: Ask) -> dict[str, object]:
        """JSON of POST /v1/audio/speech."""
        request = {"response_format": "pcm", "sample_rate": self.sample_rate, **self.body}
        request |= {"input": ask.text, "seed": ask.seed}
        return request | ({} if ask.max_tokens is None else {"max_tokens": ask.max_tokens})
