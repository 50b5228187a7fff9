"""Files that the user names, with mistakes in the user's words."""

from pathlib import Path

from services.cli.failure import Failure


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise Failure(f"Cannot read {path}: {exc.strerror}.") from exc


def write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as exc:
        raise Failure(f"Cannot write {path}: {exc.strerror}.") from exc
