"""The widths of a checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Values as in the files that they are written to.
Config = Mapping[str, Any]


@dataclass(frozen=True)
class Speaker:
    """Widths of the speaker encoder that no config states (SparkAudio/Spark-TTS, sparktts/modules/speaker)."""

    channels: int = 512
    groups: int = 8
    bottleneck: int = 128
    layers: int = 2
    attention: int = 512


@dataclass(frozen=True)
class Shape:
    """`audio`: config.yaml; `codec`: audio_tokenizer of BiCodec/config.yaml; `llm` and `wav2vec2`: config.json;
    `first_added`: id of the first token beyond text.
    """

    name: str
    audio: Config
    codec: Config
    llm: Config
    wav2vec2: Config
    first_added: int
    speaker: Speaker = Speaker()
