"""What an engine makes of a checkpoint before it can compute it: made once, and shared by every process."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from services.contract.digests import digest
from services.llm.engines.engine import EngineModel
from services.llm.weights import Weights


def converted(
    model: EngineModel, cache: Path, kind: str, recipe: Mapping[str, object], make: Callable[[Path], object]
) -> Path:
    """The file that `make` has made, in `cache` under a name made of all that it depends on: its `kind`, its
    `recipe`, and what the checkpoint holds; the same checkpoint elsewhere is the same.

    It appears whole by a rename, so processes that start together may all make it. Raises UnusableCheckpoint, OSError.
    """
    target = cache / f"{kind}-{_name(model, recipe, cache)}"
    if not target.exists():
        _made(target, make)
    return target


def _name(model: EngineModel, recipe: Mapping[str, object], cache: Path) -> str:
    files = (model.directory / "config.json", *Weights(model.directory).paths)
    known = {**recipe, "allowed": model.allowed, "files": digest(model.directory, files, cache)}
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:32]


def _made(target: Path, make: Callable[[Path], object]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=target.parent) as folder:
        unfinished = Path(folder) / target.name
        make(unfinished)
        unfinished.rename(target)
