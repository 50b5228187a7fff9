"""Checkpoint -> OpenVINO IR, once."""

from pathlib import Path

import openvino as ov

from services.llm.engines.conversion import converted
from services.llm.engines.engine import EngineModel
from services.llm.engines.openvino_graph import Qwen2Graph
from services.llm.engines.openvino_layers import Layers, LayerWeights
from services.llm.engines.openvino_precision import PRECISIONS
from services.llm.qwen2_tensors import EMBEDDINGS

# To be raised with every change to the graph or to the precisions.
_FORMAT = 4


def openvino_ir(model: EngineModel, precision: str, cache: Path) -> Path:
    """The directory of the IR; converts where it is not there yet. Raises UnusableCheckpoint, OSError."""

    def convert(directory: Path) -> None:
        directory.mkdir()
        ov.save_model(built(model, precision), directory / "openvino_model.xml", compress_to_fp16=False)
        (directory / "config.json").write_text("{}")

    recipe = {"format": _FORMAT, "openvino": ov.get_version(), "precision": precision}
    return converted(model, cache, f"openvino-{precision}", recipe, convert)


def built(model: EngineModel, precision: str) -> ov.Model:
    weights = LayerWeights.read(model)
    embeddings = PRECISIONS[precision](weights.weights[EMBEDDINGS])
    return Qwen2Graph(weights.config, embeddings, Layers(weights, precision), model.allowed).build()
