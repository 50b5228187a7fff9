"""How large the body of a request may be, by its kind."""

from dataclasses import dataclass

from starlette.datastructures import Headers

from services.runtime.errors import TooLarge

_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class BodyLimits:
    """`json_values`: how many values a body in JSON may hold; what it costs to parse goes by them, not by its bytes."""

    json_bytes: int = 4 * _MEBIBYTE
    json_values: int = 10_000
    upload_bytes: int = 10 * _MEBIBYTE

    def check(self, size: int, upload: bool) -> None:
        """Raises TooLarge, which names the setting."""
        if upload and size > self.upload_bytes:
            raise TooLarge(
                f"The upload is larger than {self.upload_bytes} bytes (VOXLINE_GATEWAY_MAX_UPLOAD_BYTES of the server)."
            )
        if not upload and size > self.json_bytes:
            raise TooLarge(
                f"The body is larger than {self.json_bytes} bytes (VOXLINE_GATEWAY_MAX_JSON_BYTES of the server); "
                "larger recordings come as multipart/form-data."
            )

    def check_values(self, count: int) -> None:
        """Raises TooLarge."""
        if count > self.json_values:
            raise TooLarge(
                f"The body holds more than {self.json_values} values (VOXLINE_GATEWAY_MAX_JSON_VALUES of the server)."
            )


def is_upload(headers: Headers) -> bool:
    return headers.get("content-type", "").lower().startswith("multipart/form-data")
