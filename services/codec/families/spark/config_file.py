"""One file of a checkpoint's configuration."""

import json
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from services.codec.families.spark.weights import CheckpointError

M = TypeVar("M", bound=BaseModel)


def read_file(file: Path, kind: type[M]) -> M:
    """JSON or YAML, as its ending says. Raises CheckpointError that names the file and the key."""
    try:
        text = file.read_text(encoding="utf-8")
        return kind.model_validate(json.loads(text) if file.suffix == ".json" else yaml.safe_load(text))
    except OSError as exc:
        raise CheckpointError(f"{file}: {exc.strerror}") from exc
    except (json.JSONDecodeError, yaml.YAMLError) as exc:
        raise CheckpointError(f"{file}: not {file.suffix[1:].upper()}: {exc}") from exc
    except ValidationError as exc:
        first = exc.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "(the whole file)"
        raise CheckpointError(f"{file}: {key}: {first['msg']}, found {first['input']!r}") from exc
