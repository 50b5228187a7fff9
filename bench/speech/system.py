"""The whole running system, as its users reach it: the REST API."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field

import soundfile

from bench.speech.ears import SAMPLE_RATE, Samples
from services.cli.api import Api


@dataclass(frozen=True)
class System:
    """`more`: further fields of each request, e.g. temperature."""

    api: Api
    more: Mapping[str, object] = field(default_factory=dict)

    def say(self, text: str, voice: str, seed: int) -> Samples:
        """[T] at SAMPLE_RATE. Raises Failure with the server's own words."""
        fixed = {"input": text, "voice": voice, "response_format": "wav", "sample_rate": SAMPLE_RATE, "seed": seed}
        with self.api.call("POST", "/v1/audio/speech", {**fixed, **self.more}) as reply:
            samples: Samples = soundfile.read(io.BytesIO(reply.read()), dtype="float32")[0]
        return samples
