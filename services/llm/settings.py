"""Settings of the LLM stage."""

from pathlib import Path
from typing import Literal

from pydantic import DirectoryPath, Field
from pydantic_settings import SettingsConfigDict

from services.runtime.compiled import CACHE
from services.runtime.settings import Port, ServerSettings


class LlmSettings(ServerSettings):
    model_config = SettingsConfigDict(env_prefix="VOXLINE_LLM_")

    port: Port = Field(50052, description="gRPC port; 0 takes a free one.")
    metrics_port: Port = Field(9102, description="Port of /metrics; 0 takes a free one.")
    model: DirectoryPath = Field(description="Folder of the checkpoint, in the published layout.")
    family: Literal["spark"] = Field("spark", description="Model line of the checkpoint.")
    engine: Literal["auto", "cpu", "transformers", "vllm"] = Field(
        "auto", description="What runs the model; auto: vllm with an NVIDIA GPU, else cpu; transformers without g++."
    )
    precision: Literal["auto", "f32", "bf16", "int8"] = Field(
        "auto", description="How weights are kept; auto: int8 on cpu, bf16 on vllm, f32 on transformers."
    )
    cache_dir: Path = Field(CACHE, description="Folder of converted checkpoints.")
    threads: int = Field(0, ge=0, description="CPU threads of the model. 0: cpu takes what its size is worth.")
    max_batch: int = Field(16, ge=1, description="Most sequences that are computed together.")
    max_waiting: int = Field(64, ge=1, description="Most generations without a first token; more are turned away.")
