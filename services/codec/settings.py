"""Settings of the two codec stages."""

from pathlib import Path
from typing import Literal

from pydantic import DirectoryPath, Field
from pydantic_settings import SettingsConfigDict

from services.runtime.compiled import CACHE
from services.runtime.settings import Port, ServerSettings


class CodecSettings(ServerSettings):
    model: DirectoryPath = Field(description="Folder of the checkpoint, in the published layout.")
    family: Literal["spark"] = Field("spark", description="Model line of the checkpoint.")
    device: str = Field("cpu", description="What runs the model: cpu, or cuda for an NVIDIA GPU.")
    threads: int = Field(1, ge=1, description="CPU threads of the model.")
    max_batch: int = Field(16, ge=1, description="Most requests in one forward pass.")


class TokenizerSettings(CodecSettings):
    model_config = SettingsConfigDict(env_prefix="VOXLINE_TOKENIZER_")

    port: Port = Field(50051, description="gRPC port; 0 takes a free one.")
    metrics_port: Port = Field(9101, description="Port of /metrics; 0 takes a free one.")
    max_audio_bytes: int = Field(32 * 2**20, ge=1, description="Largest reference audio file.")
    min_audio_seconds: float = Field(0.5, gt=0, description="Shortest reference audio.")
    max_audio_seconds: float = Field(60.0, gt=0, description="Longest reference audio.")


class DetokenizerSettings(CodecSettings):
    model_config = SettingsConfigDict(env_prefix="VOXLINE_DETOKENIZER_")

    port: Port = Field(50053, description="gRPC port; 0 takes a free one.")
    metrics_port: Port = Field(9103, description="Port of /metrics; 0 takes a free one.")
    first_chunk_frames: int = Field(10, ge=1, description="Frames of the first chunk of audio; later ones grow.")
    max_chunk_frames: int = Field(25, ge=1, description="Most frames that a chunk is ever held back for.")
    precision: Literal["auto", "f32", "bf16"] = Field(
        "auto", description="Of the products; auto: bf16 on CPUs that are faster in it, else f32."
    )
    cache_dir: Path = Field(CACHE, description="Folder of compiled operations.")
    max_step_frames: int = Field(100, ge=1, description="Most frames in one forward pass; a first chunk waits for it.")
