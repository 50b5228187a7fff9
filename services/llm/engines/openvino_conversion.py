"""Checkpoint -> OpenVINO IR, once: kept under a name made of all that it depends on, and shared by every process.

A directory appears whole by a rename or not at all, so two processes that start together may both convert, and the
second one takes what the first has put there.
"""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path

import openvino as ov

from services.llm.engines.engine import EngineModel
from services.llm.engines.openvino_graph import Qwen2Graph
from services.llm.engines.openvino_layers import EMBEDDINGS, Layers, LayerWeights
from services.llm.engines.openvino_precision import PRECISIONS
from services.llm.weights import Weights

# To be raised with every change to the graph or to the precisions.
_FORMAT = 4


def converted(model: EngineModel, precision: str, cache: Path) -> Path:
    """The directory of the IR; converts where it is not there yet. Raises UnusableCheckpoint, OSError."""
    target = cache / f"openvino-{precision}-{_digest(model, precision)}"
    if not target.exists():
        _store(built(model, precision), target)
    return target


def built(model: EngineModel, precision: str) -> ov.Model:
    weights = LayerWeights.read(model)
    embeddings = PRECISIONS[precision](weights.weights[EMBEDDINGS])
    return Qwen2Graph(weights.config, embeddings, Layers(weights, precision), model.allowed).build()


def _digest(model: EngineModel, precision: str) -> str:
    """Of the files' contents: the same checkpoint elsewhere is the same, a changed one is not."""
    recipe = {
        "format": _FORMAT,
        "openvino": ov.get_version(),
        "precision": precision,
        "allowed": model.allowed,
    }
    digest = hashlib.sha256(json.dumps(recipe).encode())
    for path in (model.directory / "config.json", *Weights(model.directory).paths):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]


def _store(graph: ov.Model, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=target.parent))
    try:
        ov.save_model(graph, unfinished / "openvino_model.xml", compress_to_fp16=False)
        (unfinished / "config.json").write_text("{}")
        unfinished.rename(target)
    except OSError:
        if not target.exists():
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
