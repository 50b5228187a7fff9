"""Digests of files: what a model is made of, whatever its folder is called."""

import hashlib
import logging
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

_log = logging.getLogger(__name__)


def digest(folder: Path, files: Iterable[Path], cache: Path) -> str:
    """SHA-256, in hex, of the names that `files` have in `folder` and of what they hold.

    It is kept in `cache` under a name made of their paths, sizes and times, so whoever starts again reads none of them.
    Raises OSError for a file that cannot be read.
    """
    paths = sorted(files)
    kept = cache.expanduser() / f"digest-{_hex(_states(folder, paths))}"
    if kept.exists():
        return kept.read_text()
    made = _hex(_contents(folder, paths))
    _keep(kept, made)
    return made


def _states(folder: Path, paths: Iterable[Path]) -> Iterator[str]:
    """Names beside real paths: two folders may share files under other names."""
    for path in paths:
        state = path.stat()
        yield f"{path.relative_to(folder)} {path.resolve()} {state.st_size} {state.st_mtime_ns}"


def _contents(folder: Path, paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        with path.open("rb") as file:
            yield f"{path.relative_to(folder)} {hashlib.file_digest(file, 'sha256').hexdigest()}"


def _hex(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _keep(target: Path, made: str) -> None:
    """It appears whole by a rename. A cache that cannot be written costs time at every start and is logged."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=target.parent) as folder:
            unfinished = Path(folder) / target.name
            unfinished.write_text(made)
            unfinished.rename(target)
    except OSError as exc:
        _log.warning("%s cannot be written (%s), so the next start reads the model's files again", target, exc.strerror)
