"""Settings of the gateway."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_settings import SettingsConfigDict

from services.gateway.admission import AdmissionPolicy
from services.gateway.deadlines import Deadlines
from services.gateway.http.limits import HttpLimits, networks
from services.gateway.limits import ValueLimits
from services.gateway.model_names import ModelNames
from services.gateway.rest.body_limits import BodyLimits
from services.runtime.message_size import MessageLimits
from services.runtime.server import Bounds
from services.runtime.settings import Port, ServerSettings
from services.runtime.tls import ChannelFiles

_MEBIBYTE = 1024 * 1024


def _of_networks(text: str) -> str:
    networks(text)
    return text


Networks = Annotated[str, AfterValidator(_of_networks)]


class GatewaySettings(ServerSettings):
    model_config = SettingsConfigDict(env_prefix="VOXLINE_GATEWAY_")

    port: Port = Field(50050, description="gRPC port; 0 takes a free one.")
    http_port: Port = Field(8000, description="HTTP port, of the REST surfaces; 0 takes a free one.")
    metrics_port: Port = Field(9100, description="Port of /metrics; 0 takes a free one.")
    tokenizer: str = Field("127.0.0.1:50051", description="host:port of the tokenizer, or any gRPC target.")
    llm: str = Field("127.0.0.1:50052", description="host:port of the LLM, or any gRPC target.")
    detokenizer: str = Field("127.0.0.1:50053", description="host:port of the detokenizer, or any gRPC target.")
    stages_ca: Path | None = Field(
        None, description="PEM file of the authority of the stages' certificates; empty: no TLS with the stages."
    )
    stages_cert: Path | None = Field(None, description="PEM file of the certificate that the stages are shown.")
    stages_key: Path | None = Field(None, description="PEM file of its key.")
    stages_name: str = Field("", description="Name in the stages' certificates; empty: that of each target.")
    data_directory: Path = Field(Path("var/gateway"), description="Where the voices' SQLite file is; made if missing.")
    database: str = Field(
        "", description="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME; empty: a file in the data directory."
    )
    max_requests: int = Field(64, ge=1, description="Most requests at once; any more are turned away.")
    max_text_streams: int = Field(256, ge=1, description="Most text streams open at once, whether or not they speak.")
    paused_seconds: float = Field(
        30.0, gt=0, description="A listener that reads nothing for so long gives up its slot."
    )
    gone_seconds: float = Field(600.0, gt=0, description="A listener that reads nothing for so long is left.")
    silent_seconds: float = Field(600.0, gt=0, description="A text stream that says nothing for so long is ended.")
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
    quiet_seconds: float = Field(
        0.3,
        ge=0,
        description="A text stream without a seed that says nothing for so long has probably ended its sentence, "
        "which is spoken; 0: never.",
    )
    max_text_characters: int = Field(50_000, gt=0, description="Longest text.")
    max_piece_characters: int = Field(50_000, gt=0, description="Longest piece of a text stream.")
    max_stream_characters: int = Field(200_000, gt=0, description="Most text of a text stream.")
    max_transcript_characters: int = Field(2000, gt=0, description="Longest transcript of a voice's recording.")
    max_name_characters: int = Field(200, gt=0, description="Longest display name of a voice.")
    max_instructions_characters: int = Field(4096, gt=0, description="Longest instructions.")
    max_voices_per_key: int = Field(1000, ge=0, description="Most stored voices of one key; 0: no bound.")
    api_key: str = Field(
        "",
        max_length=512,
        description="A key that may everything, beside those of `voxline keys`; while there are none, everybody may.",
    )
    first_frame_seconds: float = Field(30.0, gt=0, description="How long the LLM may take for first frames.")
    between_frames_seconds: float = Field(10.0, gt=0, description="How long the LLM may take for the next frames.")
    first_audio_seconds: float = Field(
        15.0, gt=0, description="How long the detokenizer may take for first audio, once its frames are there."
    )
    chunk_seconds: float = Field(10.0, gt=0, description="The same for audio that follows.")
    recording_seconds: float = Field(30.0, gt=0, description="How long the tokenizer may take for a recording.")
    open_reading: bool = Field(
        True, description="Whether models, built-in voices, docs and reflection may be read without a key."
    )
    model_aliases: str = Field("", description="Comma-separated names that requests may give the served model, too.")
    cors_origins: str = Field("", description="Comma-separated origins of web pages that may call; * for all.")
    max_json_bytes: int = Field(
        4 * _MEBIBYTE, gt=0, description="Largest body in JSON; larger recordings come as multipart/form-data."
    )
    max_json_values: int = Field(10_000, gt=0, description="Most values in a body in JSON.")
    max_upload_bytes: int = Field(10 * _MEBIBYTE, gt=0, description="Largest body as multipart/form-data.")
    max_head_bytes: int = Field(32 * 1024, gt=0, description="Largest head of an HTTP request.")
    head_seconds: float = Field(10.0, gt=0, description="How long the head of an HTTP request may take.")
    body_seconds: float = Field(60.0, gt=0, description="How long the body of an HTTP request may take.")
    body_bytes_per_second: int = Field(10_000, gt=0, description="A body that keeps this rate may take longer.")
    idle_seconds: float = Field(75.0, gt=0, description="How long an HTTP connection may be idle between requests.")
    max_message_bytes: int = Field(
        _MEBIBYTE, gt=0, description="Largest message over gRPC, beside its recording, which may be as an upload."
    )
    max_grpc_connections: int = Field(2000, gt=0, description="Most gRPC connections at once.")
    max_grpc_streams: int = Field(256, gt=0, description="Most calls at once on a gRPC connection; more wait.")
    max_connections: int = Field(2000, gt=0, description="Most HTTP connections at once.")
    max_connections_per_address: int = Field(256, ge=0, description="Most of them of one address; 0: no bound.")
    trusted_proxies: Networks = Field(
        "127.0.0.0/8, ::1",
        description="Comma-separated addresses and networks of proxies, each of which speaks for many callers.",
    )

    @model_validator(mode="after")
    def _stages_whole(self) -> Self:
        if (self.stages_cert is None) != (self.stages_key is None) or (self.stages_cert and not self.stages_ca):
            raise ValueError("TLS with the stages needs stages_ca; stages_cert and stages_key come together")
        return self

    @property
    def stages_tls(self) -> ChannelFiles | None:
        if self.stages_ca is None:
            return None
        return ChannelFiles(self.stages_ca, self.stages_cert, self.stages_key, self.stages_name)

    @property
    def deadlines(self) -> Deadlines:
        return Deadlines(
            first_frame=self.first_frame_seconds,
            between_frames=self.between_frames_seconds,
            first_audio=self.first_audio_seconds,
            chunk=self.chunk_seconds,
            recording=self.recording_seconds,
        )

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.data_directory / 'voices.db'}"

    @property
    def admission(self) -> AdmissionPolicy:
        return AdmissionPolicy(
            max_requests=self.max_requests,
            first_sound_seconds=self.max_first_sound_seconds,
            wait_seconds=self.admission_wait_seconds,
            max_text_streams=self.max_text_streams,
            paused_seconds=self.paused_seconds,
            gone_seconds=self.gone_seconds,
        )

    @property
    def quiet(self) -> float | None:
        return self.quiet_seconds or None

    @property
    def value_limits(self) -> ValueLimits:
        return ValueLimits(
            text=self.max_text_characters,
            piece=self.max_piece_characters,
            pieces=self.max_stream_characters,
            transcript=self.max_transcript_characters,
            name=self.max_name_characters,
            instructions=self.max_instructions_characters,
            voices_per_key=self.max_voices_per_key,
        )

    @property
    def model_names(self) -> ModelNames:
        return ModelNames(tuple(name.strip() for name in self.model_aliases.split(",") if name.strip()))

    @property
    def body_limits(self) -> BodyLimits:
        return BodyLimits(self.max_json_bytes, self.max_json_values, self.max_upload_bytes)

    @property
    def grpc_bounds(self) -> Bounds:
        messages = MessageLimits(self.max_message_bytes, self.max_upload_bytes)
        return Bounds(messages, self.max_grpc_connections, self.max_grpc_streams, self.head_seconds)

    @property
    def http_limits(self) -> HttpLimits:
        return HttpLimits(
            head_seconds=self.head_seconds,
            head_bytes=self.max_head_bytes,
            body_seconds=self.body_seconds,
            body_bytes_per_second=self.body_bytes_per_second,
            # So much is dropped of one that was refused, before the connection is.
            body_bytes=2 * max(self.max_json_bytes, self.max_upload_bytes),
            idle_seconds=self.idle_seconds,
            connections=self.max_connections,
            connections_per_address=self.max_connections_per_address,
            proxies=networks(self.trusted_proxies),
        )
