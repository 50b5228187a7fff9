"""Settings of a stage: frozen, from flags, then environment, then defaults; a name that nobody knows is an error."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.runtime.environment import of_kubernetes
from services.runtime.tls import ServerFiles

Port = Annotated[int, Field(ge=0, le=65535)]


class ServerSettings(BaseSettings):
    """What every stage has. A subclass sets `env_prefix` in its model_config, e.g. VOXLINE_LLM_."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", cli_kebab_case=True, cli_avoid_json=True, cli_implicit_flags=True
    )

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for all.")
    port: Port = Field(0, description="gRPC port; 0 takes a free one.")
    socket: Path | None = Field(None, description="Unix socket that gRPC listens on in place of host and port.")
    metrics_host: str = Field("", description="Address of /metrics; empty: that of gRPC.")
    metrics_port: Port = Field(0, description="Port of /metrics; 0 takes a free one.")
    tls_cert: Path | None = Field(None, description="PEM file of the server's certificate chain; empty: no TLS.")
    tls_key: Path | None = Field(None, description="PEM file of its key.")
    tls_client_ca: Path | None = Field(
        None, description="PEM file of the authority whose certificates clients must show; empty: they need none."
    )
    health_port: Port | None = Field(
        None, description="Port of gRPC health without TLS, for probes that speak none; empty: none."
    )
    drain_seconds: float = Field(2.0, ge=0, description="Seconds between NOT_SERVING and the stop after SIGTERM.")
    grace_seconds: float = Field(30.0, ge=0, description="Seconds that running calls get to end after that.")
    max_connection_age_seconds: float = Field(
        300.0,
        gt=0,
        description="Age at which a connection takes no more calls, so that clients look for other replicas; "
        "calls that run on it go on.",
    )
    stall_seconds: float = Field(
        60.0, ge=0, description="A process whose model computes nothing for so long, while it has work, ends; 0: never."
    )
    log_level: str = Field("info", pattern="(?i)^(debug|info|warning|error)$", description="Lowest level to log.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None) or (self.tls_client_ca and not self.tls_cert):
            raise ValueError("TLS needs tls_cert and tls_key; tls_client_ca comes beside them")
        return self

    @property
    def tls(self) -> ServerFiles | None:
        if self.tls_cert is None or self.tls_key is None:
            return None
        return ServerFiles(self.tls_cert, self.tls_key, self.tls_client_ca)


Settings = TypeVar("Settings", bound=ServerSettings)


def load_settings(cls: type[Settings], arguments: Sequence[str], program: str) -> Settings:
    """Exits with status 2 and one line per mistake, as a command line does."""
    for name in _of_kubernetes(cls):
        del os.environ[name]
    unknown = _unknown_environment(cls)
    if unknown:
        sys.exit(f"{program}: unknown environment variables: {', '.join(unknown)}")
    try:
        # Only BaseSettings itself declares them, and pydantic makes its own constructor for each subclass.
        return cls(_cli_parse_args=list(arguments), _cli_prog_name=program)  # type: ignore[call-arg]
    except ValidationError as exc:
        lines = [f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors()]
        sys.exit("\n".join(f"{program}: {line}" for line in lines))


def _of_kubernetes(cls: type[ServerSettings]) -> list[str]:
    """A service called like a program of ours gives all containers variables that look like settings of it."""
    prefix = cls.model_config["env_prefix"].upper()
    names = [name for name in os.environ if prefix and name.upper().startswith(prefix)]
    return [name for name in names if of_kubernetes(name.upper().removeprefix(prefix), os.environ[name])]


def _unknown_environment(cls: type[ServerSettings]) -> list[str]:
    prefix = cls.model_config["env_prefix"].upper()
    known = {f"{prefix}{name}".upper() for name in cls.model_fields}
    return sorted(
        name for name in os.environ if prefix and name.upper().startswith(prefix) and name.upper() not in known
    )
