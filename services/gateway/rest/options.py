"""What an operator may choose about the HTTP side."""

from dataclasses import dataclass

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class RestOptions:
    """`api_key`: empty lets everybody in. `cors_origins`: origins of web pages that may call; "*" for all."""

    api_key: str = ""
    cors_origins: tuple[str, ...] = ()
    max_body_bytes: int = 25 * MEBIBYTE

    def __post_init__(self) -> None:
        if self.max_body_bytes <= 0:
            raise ValueError(f"the largest body must be positive, not {self.max_body_bytes} bytes")
