"""Settings of the gateway."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.gateway.admission import AdmissionPolicy
from services.runtime.settings import Port, ServerSettings


class GatewaySettings(ServerSettings):
    model_config = SettingsConfigDict(env_prefix="VOXLINE_GATEWAY_")

    port: Port = Field(50050, description="gRPC port; 0 takes a free one.")
    http_port: Port = Field(8000, description="HTTP port, of the REST surfaces and of /metrics; 0 takes a free one.")
    tokenizer: str = Field("127.0.0.1:50051", description="host:port of the tokenizer, or any gRPC target.")
    llm: str = Field("127.0.0.1:50052", description="host:port of the LLM, or any gRPC target.")
    detokenizer: str = Field("127.0.0.1:50053", description="host:port of the detokenizer, or any gRPC target.")
    data_directory: Path = Field(Path("var/gateway"), description="Where the voices' SQLite file is; made if missing.")
    database: str = Field(
        "", description="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME; empty: a file in the data directory."
    )
    max_requests: int = Field(64, ge=1, description="Most requests at once; any more are turned away.")
    max_first_sound_seconds: float = Field(
        2.0,
        gt=0,
        description="A listener that waits longer for its first sound is late; while too many are, nobody is admitted.",
    )
    admission_wait_seconds: float = Field(
        1.0, ge=0, description="How long a new request waits for capacity before it is turned away."
    )
    look_ahead_frames: int | None = Field(
        None,
        ge=-1,
        description="Frames to the right that each sample waits for. -1: all that matter, which is exact; "
        "empty: as many as the model says are enough.",
    )
    pause_seconds: float = Field(0.1, ge=0, le=5, description="Silence between segments of a long text.")
    api_key: str = Field("", description="Key that REST callers must send as bearer; empty lets everybody in.")
    cors_origins: str = Field("", description="Comma-separated origins of web pages that may call; * for all.")
    max_body_bytes: int = Field(25 * 1024 * 1024, gt=0, description="Largest HTTP request body.")

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.data_directory / 'voices.db'}"

    @property
    def admission(self) -> AdmissionPolicy:
        return AdmissionPolicy(self.max_requests, self.max_first_sound_seconds, self.admission_wait_seconds)
