"""What both halves of Spark-TTS share: which files of a checkpoint make them, and what the state of a speaker is."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError

from services.contract.digests import digest
from services.contract.speaker import Speaker
from services.contract.tokenization import CLEANING
from services.runtime.errors import InvalidRequest
from voxline.stages.v1 import spark_pb2

# Of the codec; where there are both, the first is read.
CODEC_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def llm_revision(checkpoint: Path, cache: Path) -> str:
    """Configuration, tokenizer and weights of the LLM; empty where the folder lacks one. See `digest`."""
    folder = checkpoint / "LLM"
    weights = sorted(folder.glob("*.safetensors")) or [folder / "model.safetensors"]
    return _revision(checkpoint, [folder / "config.json", folder / "tokenizer.json", *weights], cache)


def codec_revision(checkpoint: Path, cache: Path) -> str:
    """Both halves of the codec, and how recordings are cleaned for it; empty where the folder lacks a part of one. See
    `digest`.
    """
    codec, features = checkpoint / "BiCodec", checkpoint / "wav2vec2-large-xlsr-53"
    files = [
        checkpoint / "config.yaml",
        codec / "config.yaml",
        _codec_weights(codec),
        features / "config.json",
        features / "preprocessor_config.json",
        _codec_weights(features),
    ]
    made_of = _revision(checkpoint, files, cache)
    return made_of and f"{CLEANING}-{made_of}"


def _codec_weights(folder: Path) -> Path:
    paths = [folder / name for name in CODEC_WEIGHTS]
    return next((path for path in paths if path.is_file()), paths[0])


def _revision(checkpoint: Path, files: Iterable[Path], cache: Path) -> str:
    paths = list(files)
    return digest(checkpoint, paths, cache) if all(path.is_file() for path in paths) else ""


@dataclass(frozen=True)
class SparkSpeaker:
    """`style_tokens`: what the LLM wrote before the global tokens of a designed voice; else empty."""

    global_tokens: tuple[int, ...]
    style_tokens: tuple[int, ...] = ()

    def speaker(self) -> Speaker:
        message = spark_pb2.SparkSpeaker(global_tokens=self.global_tokens, style_tokens=self.style_tokens)
        return Speaker(message.SerializeToString(deterministic=True), self.global_tokens)

    @classmethod
    def of(cls, speaker: Speaker, field: str) -> "SparkSpeaker":
        """`field`: what errors call the speaker. Whether the tokens fit a checkpoint is not known here. Raises
        InvalidRequest.
        """
        try:
            message = spark_pb2.SparkSpeaker.FromString(speaker.state)
        except DecodeError as exc:
            raise InvalidRequest("This is no state of a Spark speaker.", field=f"{field}.state") from exc
        return cls(tuple(message.global_tokens), tuple(message.style_tokens))
